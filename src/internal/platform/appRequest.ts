/**
 * One request to an application of `@effect/platform`, and what became of it: what all its copies share, made by
 * `modify` or not.
 *
 * @internal
 */
import * as FileSystem from "@effect/platform/FileSystem"
import { MaxBodySize } from "@effect/platform/HttpIncomingMessage"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as Multipart from "@effect/platform/Multipart"
import type * as Path from "@effect/platform/Path"
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
import { ServerRequest, urlOf } from "./serverRequest.js"
import { beginSpan } from "./span.js"
import type { WebSockets } from "./webSocket.js"

/** What every request of one server finds. */
export interface AppConfig {
  /** Whether the application is interruptible, whatever it is. */
  readonly isInterruptible: boolean
  readonly program: Effect.Effect<Responded, ValueError>
  readonly webSockets: WebSockets
}

/** 10 MiB: what `NodeHttpServer` means to allow. */
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
  /** Those that its fiber begins with. */
  fiberRefs: FiberRefs.FiberRefs | undefined
  /** Waits until a connection that was upgraded has ended; gives the evidence. */
  upgraded: Effect.Effect<Responded> | undefined
  /** What was logged last, in its fibers, of anything wrong. */
  lastLogged: { readonly cause: Cause.Cause<unknown>; readonly message: unknown } | undefined
  private bytesCache: Buffer | undefined
  private textCache: string | undefined
  private persisting: PersistedEffect | undefined

  constructor(
    readonly native: Request,
    readonly house: AppConfig
  ) {
    super()
  }

  static readonly Tag: Context.Tag<AppRequest, AppRequest> = Context.GenericTag<AppRequest>(adapterKey)

  get program(): Effect.Effect<Responded, ValueError> {
    return this.house.program
  }

  get isInterruptible(): boolean {
    return this.house.isInterruptible
  }

  /** Within another effect it has a scope of its own, as it has everywhere: that one's goes on behind it. */
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
    const request = new ServerRequest(this, urlOf(this.native), undefined, undefined)
    services.set(HttpServerRequest.HttpServerRequest.key, request)
    if (!services.has(MaxBodySize.key)) services.set(MaxBodySize.key, maxBodySize)
    this.fiberRefs = fiberRefs
    const span = (this.span = beginSpan(request, services, fiberRefs))
    if (span !== undefined) services.set(Tracer.ParentSpan.key, span)
    // Last: a fiber that finds it here runs the application, which the one that made the span does not.
    services.set(AppRequest.Tag.key, this)
  }

  logged(cause: Cause.Cause<unknown>, message: unknown): void {
    // Lines of text alone are about nothing that has failed.
    const isText = Array.isArray(message) ? message.every(Predicate.isString) : Predicate.isString(message)
    if (!(isText && Cause.isEmpty(cause))) this.lastLogged = { cause, message }
  }

  get exchange(): Exchange {
    return this.native[ExchangeKey]
  }

  /** The text of the body, if somebody has read it. */
  get readText(): string | undefined {
    return this.textCache
  }

  /** The whole body, of at most `MaxBodySize`. Errors are about the request that was asked. */
  bytes(request: HttpServerRequest.HttpServerRequest): BodyEffect<Buffer> {
    return Effect.withFiberRuntime((fiber) => {
      if (this.bytesCache !== undefined) return Effect.succeed(this.bytesCache)
      const most = Option.match(Context.get(fiber.currentContext, MaxBodySize), {
        onNone: () => Number.POSITIVE_INFINITY,
        onSome: Number
      })
      return Effect.mapBoth(this.exchange.readBody(most), {
        onFailure: (error) => bodyError(request, error),
        onSuccess: (bytes) => (this.bytesCache = bytes)
      })
    })
  }

  text(request: HttpServerRequest.HttpServerRequest): BodyEffect<string> {
    return Effect.map(this.bytes(request), (bytes) => (this.textCache ??= bytes.toString("utf8")))
  }

  /** The body as it comes; what has been read whole is given again. */
  get stream(): Stream.Stream<Uint8Array, ValueError> {
    return Stream.suspend(() =>
      this.bytesCache === undefined ? this.exchange.bodyStream : Stream.succeed<Uint8Array>(this.bytesCache)
    )
  }

  /** The form in the body, persisted once, whoever asks. */
  persisted(parts: Stream.Stream<Part, Multipart.MultipartError>): PersistedEffect {
    // `cached` makes no decision and does not wait: it only makes the place to remember in.
    return (this.persisting ??= Effect.runSync(Effect.cached(persist(parts))))
  }

  /** The head of an answer has left. */
  get isResponseStarted(): boolean {
    return this.exchange.state !== "NotStarted"
  }

  /** Nothing more is to be written: it has been, or another protocol has the connection, or nobody is there. */
  get isResponseSettled(): boolean {
    return this.isResponseStarted || this.exchange.isClientGone
  }

  /** What is written is the answer. */
  completeWith(evidence: Responded | ValueError): Effect.Effect<never> | undefined {
    // A header that cannot be sent, a status that is none: the application's defect, and it has another try.
    if (isValueError(evidence)) return Effect.die(evidence)
    this.evidence = evidence
    return undefined
  }
}
