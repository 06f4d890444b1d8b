/**
 * The span of a request: `http.server GET`, with the parent from the headers of the client.
 *
 * With a tracer it has everything that `HttpMiddleware.tracer` records. Without one it is still available as
 * `Effect.currentSpan` and as the parent of other spans, but lazy: identifiers, attributes and the parent are computed on
 * access, so that the headers are not decoded otherwise.
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Tracer from "effect/Tracer"
import { escapeControls } from "../host/escapeControls.js"

/** The default tracer of Effect, whose spans are not exported. */
const nativeTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

const hexDigits = "0123456789abcdef"

const randomHex = (length: number): string => {
  let text = ""
  for (let i = 0; i < length; i++) text += hexDigits[Math.floor(Math.random() * 16)]
  return text
}

/** The services of the fiber of a request, before it is started. */
type Services = Map<string, unknown>

const contextOf = (services: Services): Context.Context<never> => Context.unsafeMake(services)

const nameOf = (request: HttpServerRequest.HttpServerRequest, services: Services): string =>
  Context.get(contextOf(services), HttpMiddleware.SpanNameGenerator)(request)

/** The nearest span, from the given one outwards, that does not disable propagation. */
const propagated = (span: Tracer.AnySpan | undefined): Option.Option<Tracer.AnySpan> => {
  if (span === undefined) return Option.none()
  if (!Context.get(span.context, Tracer.DisablePropagation)) return Option.some(span)
  return span._tag === "Span" ? propagated(Option.getOrUndefined(span.parent)) : Option.none()
}

// Classes, as everything that is created for each request: see `http1/requestHead.ts`.

class Started {
  readonly _tag = "Started"

  constructor(readonly startTime: bigint) {}
}

class Ended {
  readonly _tag = "Ended"

  constructor(
    readonly startTime: bigint,
    readonly endTime: bigint,
    readonly exit: Exit.Exit<unknown, unknown>
  ) {}
}

const nothing: Array<unknown> = []

/** A span of the native tracer whose properties are computed on access. */
class LazySpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly sampled = true
  readonly kind = "server"
  status: Tracer.SpanStatus
  private nameCache: string | undefined
  private parentCache: Option.Option<Tracer.AnySpan> | undefined
  private traceIdCache: string | undefined
  private spanIdCache: string | undefined
  /** Alternating names and values of attributes, before their first access. */
  private pendingAttributes: Array<unknown> = nothing
  private attributesCache: Map<string, unknown> | undefined
  private linksCache: Array<Tracer.SpanLink> | undefined
  private eventsCache: Array<[name: string, startTime: bigint, attributes: Record<string, unknown>]> | undefined

  constructor(
    private readonly request: HttpServerRequest.HttpServerRequest,
    private readonly services: Services,
    /** The span in which the server was started, if there is one. */
    private readonly serverSpan: Tracer.AnySpan | undefined,
    private readonly fiberRefs: FiberRefs.FiberRefs,
    startTime: bigint
  ) {
    this.status = new Started(startTime)
  }

  get name(): string {
    return (this.nameCache ??= nameOf(this.request, this.services))
  }

  get context(): Context.Context<never> {
    return Context.empty()
  }

  get parent(): Option.Option<Tracer.AnySpan> {
    return (this.parentCache ??= Option.orElse(HttpTraceContext.fromHeaders(this.request.headers), () =>
      propagated(this.serverSpan)
    ))
  }

  get traceId(): string {
    return (this.traceIdCache ??= Option.match(this.parent, {
      onNone: () => randomHex(32),
      onSome: (parent) => parent.traceId
    }))
  }

  get spanId(): string {
    return (this.spanIdCache ??= randomHex(16))
  }

  get attributes(): Map<string, unknown> {
    if (this.attributesCache !== undefined) return this.attributesCache
    const annotations = FiberRefs.getOrDefault(this.fiberRefs, FiberRef.currentTracerSpanAnnotations)
    const attributes = (this.attributesCache = new Map(HashMap.entries(annotations)))
    const { pendingAttributes, status } = this
    describeRequest(this, this.request, redactedNames(this.fiberRefs))
    for (let i = 0; i < pendingAttributes.length; i += 2)
      attributes.set(String(pendingAttributes[i]), pendingAttributes[i + 1])
    if (status._tag === "Ended") this.describeExit(status.exit)
    return attributes
  }

  private describeExit(exit: Exit.Exit<unknown, unknown>): void {
    // The span of a request ends with the exit of its response.
    describeResponse(this, exit as Exit.Exit<HttpServerResponse, unknown>, redactedNames(this.fiberRefs))
  }

  get links(): Array<Tracer.SpanLink> {
    return (this.linksCache ??= Array.from(FiberRefs.getOrDefault(this.fiberRefs, FiberRef.currentTracerSpanLinks)))
  }

  get events(): Array<[name: string, startTime: bigint, attributes: Record<string, unknown>]> {
    return (this.eventsCache ??= [])
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.status = new Ended(this.status.startTime, endTime, exit)
    if (this.attributesCache !== undefined) this.describeExit(exit)
  }

  attribute(key: string, value: unknown): void {
    // Called for each request by routers, with the name of the route.
    if (this.attributesCache !== undefined) this.attributesCache.set(key, value)
    else if (this.pendingAttributes === nothing) this.pendingAttributes = [key, value]
    else this.pendingAttributes.push(key, value)
  }

  event(name: string, startTime: bigint, attributes: Record<string, unknown> = {}): void {
    this.events.push([name, startTime, attributes])
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.links.push(...links)
  }
}

/** Starts the span of a request with its first attributes; `undefined` if tracing is disabled for the request. */
export const beginSpan = (
  request: HttpServerRequest.HttpServerRequest,
  services: Services,
  fiberRefs: FiberRefs.FiberRefs
): Tracer.Span | undefined => {
  if (FiberRefs.getOrDefault(fiberRefs, HttpMiddleware.currentTracerDisabledWhen)(request)) return undefined
  const defaults = FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices)
  const isLazy =
    Context.get(defaults, Tracer.Tracer) === nativeTracer &&
    FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerEnabled)
  if (!isLazy) return tracedSpan(request, services, fiberRefs)
  const serverSpan = Option.getOrUndefined(Context.getOption(contextOf(services), Tracer.ParentSpan))
  const clock = Context.get(defaults, Clock.Clock)
  const isTimed = FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerTimingEnabled)
  return new LazySpan(request, services, serverSpan, fiberRefs, isTimed ? clock.unsafeCurrentTimeNanos() : 0n)
}

const tracedSpan = (
  request: HttpServerRequest.HttpServerRequest,
  services: Services,
  fiberRefs: FiberRefs.FiberRefs
): Tracer.Span => {
  const runtime = Runtime.make({
    context: contextOf(services),
    fiberRefs,
    runtimeFlags: Runtime.defaultRuntimeFlags
  })
  const parent = Option.getOrUndefined(HttpTraceContext.fromHeaders(request.headers))
  const makeSpan = Effect.makeSpan(nameOf(request, services), { parent, kind: "server", captureStackTrace: false })
  const span = Runtime.runSync(runtime)(makeSpan)
  describeRequest(span, request, redactedNames(fiberRefs))
  return span
}

type RedactedNames = Parameters<typeof Headers.redact>[1]

const redactedNames = (fiberRefs: FiberRefs.FiberRefs): RedactedNames =>
  FiberRefs.getOrDefault(fiberRefs, Headers.currentRedactedNames)

const describeHeaders = (
  span: Tracer.Span,
  of: "request" | "response",
  headers: Headers.Headers,
  names: RedactedNames
) => {
  const redacted: Record<string, unknown> = Headers.redact(headers, names)
  for (const name in redacted) span.attribute(`http.${of}.header.${name}`, escapeControls(String(redacted[name])))
}

const describeUrl = (span: Tracer.Span, url: URL): void => {
  if (url.username !== "" || url.password !== "") {
    url.username = "REDACTED"
    url.password = "REDACTED"
  }
  span.attribute("url.full", url.toString())
  span.attribute("url.path", url.pathname)
  if (url.search.length > 1) span.attribute("url.query", url.search.slice(1))
  span.attribute("url.scheme", url.protocol.slice(0, -1))
}

const describeRequest = (
  span: Tracer.Span,
  request: HttpServerRequest.HttpServerRequest,
  names: RedactedNames
): void => {
  span.attribute("http.request.method", request.method)
  const url = HttpServerRequest.toURL(request)
  if (Option.isSome(url)) describeUrl(span, url.value)
  const agent = request.headers["user-agent"]
  if (agent !== undefined) span.attribute("user_agent.original", escapeControls(agent))
  describeHeaders(span, "request", request.headers, names)
  if (Option.isSome(request.remoteAddress)) span.attribute("client.address", request.remoteAddress.value)
}

const describeResponse = (
  span: Tracer.Span,
  exit: Exit.Exit<HttpServerResponse, unknown>,
  names: RedactedNames
): void => {
  const response = HttpServerError.exitResponse(exit)
  span.attribute("http.response.status_code", response.status)
  describeHeaders(span, "response", response.headers, names)
}

/** Ends a span with the response that was sent, using the initial FiberRefs of the request. */
export const endSpan = (
  span: Tracer.Span,
  exit: Exit.Exit<HttpServerResponse, unknown>,
  fiberRefs: FiberRefs.FiberRefs
): void => {
  if (span.status._tag === "Ended") return
  if (!(span instanceof LazySpan)) describeResponse(span, exit, redactedNames(fiberRefs))
  const clock = Context.get(FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices), Clock.Clock)
  const isTimed = FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerTimingEnabled)
  span.end(isTimed ? clock.unsafeCurrentTimeNanos() : 0n, exit)
}
