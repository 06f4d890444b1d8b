/** State of one request to an application of `@effect/platform`, shared by all copies that `modify` creates. */
import * as FileSystem from "@effect/platform/FileSystem"
import { MaxBodySize } from "@effect/platform/HttpIncomingMessage"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as Multipart from "@effect/platform/Multipart"
import type * as Path from "@effect/platform/Path"
import type * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { isValueError, type ValueError } from "../../Errors.js"
import type { Request } from "../../Request.js"
import type { Responded } from "../../Response.js"
import { type Exchange, ExchangeKey } from "../message/exchange.js"
import { adapterKey } from "../runtime/adapterEffect.js"
import { LazyScope } from "../runtime/requestRuntime.js"
import { bodyError } from "./failures.js"
import type { Part } from "./formPart.js"
import { InterruptibleRequest } from "./interruption.js"
import { persist } from "./persistedForm.js"
import { beginSpan } from "./span.js"

/** Configuration shared by all requests to one application. */
export interface AppConfig {
  /** Whether the application is interruptible as a whole. */
  readonly isInterruptible: boolean
  readonly program: Effect.Effect<Responded, ValueError>
  /** Creates the request that the application reads from its context. */
  readonly makeRequest: (appRequest: AppRequest) => HttpServerRequest.HttpServerRequest
  /** Upgrades the connection of a request to a WebSocket. */
  readonly upgrade: (
    appRequest: AppRequest,
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<Socket.Socket, HttpServerError.RequestError>
}

/** 10 MiB: the intended default of `NodeHttpServer`. */
const maxBodySize = Option.some(FileSystem.MiB(10))

export type PersistedEffect = Effect.Effect<
  Multipart.Persisted,
  Multipart.MultipartError,
  Scope.Scope | FileSystem.FileSystem | Path.Path
>

type BodyEffect<A> = Effect.Effect<A, ReturnType<typeof bodyError>>

export class AppRequest extends InterruptibleRequest {
  evidence: Responded | undefined
  span: Tracer.Span | undefined
  /** The initial FiberRefs of its fiber. */
  fiberRefs: FiberRefs.FiberRefs | undefined
  /** Completes with the evidence when the upgraded connection has ended. */
  upgraded: Effect.Effect<Responded> | undefined
  /** The last log entry about an error in its fibers. */
  lastLogged: { readonly cause: Cause.Cause<unknown>; readonly message: unknown } | undefined
  private bytesCache: Buffer | undefined
  private textCache: string | undefined
  private persisting: PersistedEffect | undefined

  constructor(
    readonly native: Request,
    readonly config: AppConfig
  ) {
    super()
  }

  static readonly Tag: Context.Tag<AppRequest, AppRequest> = Context.GenericTag<AppRequest>(adapterKey)

  get program(): Effect.Effect<Responded, ValueError> {
    return this.config.program
  }

  get isInterruptible(): boolean {
    return this.config.isInterruptible
  }

  /** Within another effect it has its own scope, since that of the other effect outlives it. */
  override commit(): Effect.Effect<Responded, ValueError> {
    return Effect.suspend(() => {
      this.isNested = true
      const scope = new LazyScope()
      return super.commit().pipe(
        Effect.provideService(Scope.Scope, scope),
        Effect.onExit((exit) => scope.closeUnlessEjected(exit) ?? Effect.void)
      )
    })
  }

  addServices(services: Map<string, unknown>, fiberRefs: FiberRefs.FiberRefs): void {
    const request = this.config.makeRequest(this)
    services.set(HttpServerRequest.HttpServerRequest.key, request)
    if (!services.has(MaxBodySize.key)) services.set(MaxBodySize.key, maxBodySize)
    this.fiberRefs = fiberRefs
    const span = (this.span = beginSpan(request, services, fiberRefs))
    if (span !== undefined) services.set(Tracer.ParentSpan.key, span)
    // Last: only fibers that run the application may find it, which excludes the one that creates the span.
    services.set(AppRequest.Tag.key, this)
  }

  logged(cause: Cause.Cause<unknown>, message: unknown): void {
    // An entry of text alone does not describe an error.
    const isText = Array.isArray(message) ? message.every(Predicate.isString) : Predicate.isString(message)
    if (!(isText && Cause.isEmpty(cause))) this.lastLogged = { cause, message }
  }

  get exchange(): Exchange {
    return this.native[ExchangeKey]
  }

  get readText(): string | undefined {
    return this.textCache
  }

  /** The whole body, limited by `MaxBodySize`. Errors refer to the given request. */
  bytes(request: HttpServerRequest.HttpServerRequest): BodyEffect<Buffer> {
    return Effect.withFiberRuntime((fiber) => {
      if (this.bytesCache !== undefined) return Effect.succeed(this.bytesCache)
      const maxBytes = Option.match(Context.get(fiber.currentContext, MaxBodySize), {
        onNone: () => Number.POSITIVE_INFINITY,
        onSome: Number
      })
      return Effect.mapBoth(this.exchange.readBody(maxBytes), {
        onFailure: (error) => bodyError(request, error),
        onSuccess: (bytes) => (this.bytesCache = bytes)
      })
    })
  }

  text(request: HttpServerRequest.HttpServerRequest): BodyEffect<string> {
    return Effect.map(this.bytes(request), (bytes) => (this.textCache ??= bytes.toString("utf8")))
  }

  /** The body as a stream. A body that is already buffered is emitted again. */
  get stream(): Stream.Stream<Uint8Array, ValueError> {
    return Stream.suspend(() =>
      this.bytesCache === undefined ? this.exchange.bodyStream : Stream.succeed<Uint8Array>(this.bytesCache)
    )
  }

  /** The form in the body, persisted once. */
  persisted(parts: Stream.Stream<Part, Multipart.MultipartError>): PersistedEffect {
    // `cached` only allocates the cache, which is synchronous.
    return (this.persisting ??= Effect.runSync(Effect.cached(persist(parts))))
  }

  get isResponseStarted(): boolean {
    return this.exchange.state !== "NotStarted"
  }

  /** True if no response can be written: one was started, the connection was upgraded, or the client has disconnected. */
  get isResponseSettled(): boolean {
    return this.isResponseStarted || this.exchange.isClientGone
  }

  completeWith(evidence: Responded | ValueError): Effect.Effect<never> | undefined {
    // An invalid header or status is a defect of the application, which may still send another response.
    if (isValueError(evidence)) return Effect.die(evidence)
    this.evidence = evidence
    return undefined
  }
}
