/**
 * The span of a request: `http.server GET`, child of what the client's headers say.
 *
 * Whoever traces gets everything that `HttpMiddleware.tracer` records. Where nobody does, the span is there all the same, as
 * `Effect.currentSpan` and as the parent of others, and what nobody reads of it is not made: its identifiers, its
 * attributes, and the look for its parent in headers that are otherwise not cut out.
 *
 * @internal
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

/** What Effect traces with when it was given nothing: spans that nobody sees from outside. */
const nativeTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

const hexDigits = "0123456789abcdef"

const randomHex = (length: number): string => {
  let text = ""
  for (let i = 0; i < length; i++) text += hexDigits[Math.floor(Math.random() * 16)]
  return text
}

/** The services of a request's fiber, which is about to be made. */
type Services = Map<string, unknown>

const contextOf = (services: Services): Context.Context<never> => Context.unsafeMake(services)

const nameOf = (request: HttpServerRequest.HttpServerRequest, services: Services): string =>
  Context.get(contextOf(services), HttpMiddleware.SpanNameGenerator)(request)

/** The nearest span, from one outwards, that does not keep to itself. */
const propagated = (span: Tracer.AnySpan | undefined): Option.Option<Tracer.AnySpan> => {
  if (span === undefined) return Option.none()
  if (!Context.get(span.context, Tracer.DisablePropagation)) return Option.some(span)
  return span._tag === "Span" ? propagated(Option.getOrUndefined(span.parent)) : Option.none()
}

// Classes, as is whatever is made for each request: see `http1/requestHead.ts`.

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

/** A span of the native tracer, of which only what is read is made. */
class LazySpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly sampled = true
  readonly kind = "server"
  status: Tracer.SpanStatus
  private knownName: string | undefined
  private knownParent: Option.Option<Tracer.AnySpan> | undefined
  private knownTraceId: string | undefined
  private knownSpanId: string | undefined
  /** Names and values in turn, of attributes that nobody has looked at. */
  private given: Array<unknown> = nothing
  private knownAttributes: Map<string, unknown> | undefined
  private knownLinks: Array<Tracer.SpanLink> | undefined
  private knownEvents: Array<[name: string, startTime: bigint, attributes: Record<string, unknown>]> | undefined

  constructor(
    private readonly request: HttpServerRequest.HttpServerRequest,
    private readonly services: Services,
    /** The span that the server was started in, if it was in one. */
    private readonly around: Tracer.AnySpan | undefined,
    private readonly fiberRefs: FiberRefs.FiberRefs,
    startTime: bigint
  ) {
    this.status = new Started(startTime)
  }

  get name(): string {
    return (this.knownName ??= nameOf(this.request, this.services))
  }

  get context(): Context.Context<never> {
    return Context.empty()
  }

  get parent(): Option.Option<Tracer.AnySpan> {
    return (this.knownParent ??= Option.orElse(HttpTraceContext.fromHeaders(this.request.headers), () =>
      propagated(this.around)
    ))
  }

  get traceId(): string {
    return (this.knownTraceId ??= Option.match(this.parent, {
      onNone: () => randomHex(32),
      onSome: (parent) => parent.traceId
    }))
  }

  get spanId(): string {
    return (this.knownSpanId ??= randomHex(16))
  }

  get attributes(): Map<string, unknown> {
    if (this.knownAttributes !== undefined) return this.knownAttributes
    const annotations = FiberRefs.getOrDefault(this.fiberRefs, FiberRef.currentTracerSpanAnnotations)
    const attributes = (this.knownAttributes = new Map(HashMap.entries(annotations)))
    const { given, status } = this
    describeRequest(this, this.request, redactedNames(this.fiberRefs))
    for (let i = 0; i < given.length; i += 2) attributes.set(String(given[i]), given[i + 1])
    if (status._tag === "Ended") this.describeExit(status.exit)
    return attributes
  }

  private describeExit(exit: Exit.Exit<unknown, unknown>): void {
    // Its request is what it is about, so it ends with the response, or with what became of it.
    describeResponse(this, exit as Exit.Exit<HttpServerResponse, unknown>, redactedNames(this.fiberRefs))
  }

  get links(): Array<Tracer.SpanLink> {
    return (this.knownLinks ??= Array.from(FiberRefs.getOrDefault(this.fiberRefs, FiberRef.currentTracerSpanLinks)))
  }

  get events(): Array<[name: string, startTime: bigint, attributes: Record<string, unknown>]> {
    return (this.knownEvents ??= [])
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.status = new Ended(this.status.startTime, endTime, exit)
    if (this.knownAttributes !== undefined) this.describeExit(exit)
  }

  attribute(key: string, value: unknown): void {
    // A router names its route in each span.
    if (this.knownAttributes !== undefined) this.knownAttributes.set(key, value)
    else if (this.given === nothing) this.given = [key, value]
    else this.given.push(key, value)
  }

  event(name: string, startTime: bigint, attributes: Record<string, unknown> = {}): void {
    this.events.push([name, startTime, attributes])
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.links.push(...links)
  }
}

/** A request's span, told what is known when it begins; none where its kind of request is not traced. */
export const beginSpan = (
  request: HttpServerRequest.HttpServerRequest,
  services: Services,
  fiberRefs: FiberRefs.FiberRefs
): Tracer.Span | undefined => {
  if (FiberRefs.getOrDefault(fiberRefs, HttpMiddleware.currentTracerDisabledWhen)(request)) return undefined
  const defaults = FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices)
  const isQuiet =
    Context.get(defaults, Tracer.Tracer) === nativeTracer &&
    FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerEnabled)
  if (!isQuiet) return tracedSpan(request, services, fiberRefs)
  const around = Option.getOrUndefined(Context.getOption(contextOf(services), Tracer.ParentSpan))
  const clock = Context.get(defaults, Clock.Clock)
  const isTimed = FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerTimingEnabled)
  return new LazySpan(request, services, around, fiberRefs, isTimed ? clock.unsafeCurrentTimeNanos() : 0n)
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
  const made = Effect.makeSpan(nameOf(request, services), { parent, kind: "server", captureStackTrace: false })
  const span = Runtime.runSync(runtime)(made)
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

/** Ends a span with the response that was sent, as the request's first FiberRefs say. */
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
