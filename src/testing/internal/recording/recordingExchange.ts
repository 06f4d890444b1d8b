/** Exchange that records the request body as it is read, and whether a response has started. */
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isValueError, type ValueError } from "../../../Errors.js"
import * as HttpHeaders from "../../../HttpHeaders.js"
import { type Exchange, ExchangeKey, type ResponseBodyWriter } from "../../../internal/message/exchange.js"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { Request } from "../../../Request.js"
import { DelegatingExchange } from "../server/delegatingExchange.js"

/** The request body, as far as it has been read. */
class RecordedBody {
  private parts: Array<Uint8Array> = []
  private readonly changed = new Signal()
  size = 0
  /** `Receiving`: more may follow; `Complete` and `Partial` are final. */
  state: "Receiving" | "Complete" | "Partial" = "Receiving"

  add(bytes: Uint8Array): void {
    if (this.state !== "Receiving") return
    this.parts.push(bytes)
    this.size += bytes.length
  }

  /** Ends the body; `Partial` if the rest will not be read. */
  end(state: "Complete" | "Partial"): void {
    if (this.state !== "Receiving") return
    this.state = state
    this.changed.wake()
  }

  /** Replaces the recorded bytes with the whole body. */
  setWhole(whole: Uint8Array): void {
    if (this.state !== "Receiving") return
    this.parts = [whole]
    this.size = whole.length
    this.end("Complete")
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  readonly ended: Effect.Effect<void> = this.changed.until(() => (this.state === "Receiving" ? undefined : Effect.void))
}

type Pull = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<ValueError>>

const has = (request: Request, name: string): boolean => HttpHeaders.has(request.headers, name)

export class RecordingExchange extends DelegatingExchange {
  readonly body = new RecordedBody()
  /** A response has started, and can no longer be replaced. */
  hasResponseStarted = false
  private reader: "None" | "Whole" | "Stream" = "None"
  /** The kit has read the body, before the handler did. */
  private isReadByKit = false
  private pull: Pull | undefined

  constructor(
    readonly request: Request,
    private readonly scope: Scope.Scope
  ) {
    super(request[ExchangeKey])
    // A request without framing fields has no body (RFC 9112 §6.3).
    if (!has(request, "Content-Length") && !has(request, "Transfer-Encoding")) this.body.end("Complete")
  }

  private markStarted<A>(result: A | ValueError): A | ValueError {
    if (!isValueError(result)) this.hasResponseStarted = true
    return result
  }

  override readonly respond: Exchange["respond"] = (code, content, headers) =>
    this.markStarted(this.inner.respond(code, content, headers))

  override readonly startResponse: Exchange["startResponse"] = (code, headers) => {
    const writer = this.inner.startResponse(code, headers)
    if (isValueError(writer)) return writer
    // `undefined` is success.
    const recordStart = (error: ValueError | undefined): ValueError | undefined => {
      if (error === undefined) this.hasResponseStarted = true
      return error
    }
    const open: ResponseBodyWriter = {
      sendHead: () => recordStart(writer.sendHead()),
      acceptsContent: writer.acceptsContent,
      write: (content) => recordStart(writer.write(content)),
      end: (trailers) => this.markStarted(writer.end(trailers))
    }
    return open
  }

  override readonly upgrade: Exchange["upgrade"] = (headers) => this.markStarted(this.inner.upgrade(headers))

  override readonly tunnel: Exchange["tunnel"] = (headers) => this.markStarted(this.inner.tunnel(headers))

  override readonly readBody: Exchange["readBody"] = (most) =>
    Effect.suspend(() => {
      if (this.reader === "None") this.reader = "Whole"
      return this.readWhole(most)
    })

  private get whole(): ReturnType<Exchange["readBody"]> {
    return this.readWhole(Number.POSITIVE_INFINITY)
  }

  private readWhole(most: number): ReturnType<Exchange["readBody"]> {
    return Effect.tap(this.inner.readBody(most), (bytes) => this.body.setWhole(bytes))
  }

  override get trailers(): Exchange["trailers"] {
    return Effect.suspend(() => {
      if (this.reader === "None") this.reader = "Whole"
      const { trailers } = this.inner
      return this.reader === "Whole" ? Effect.tap(trailers, () => this.whole) : trailers
    })
  }

  override get bodyStream(): Exchange["bodyStream"] {
    return Stream.unwrap(
      Effect.suspend(() => {
        if (this.reader !== "None") return Effect.succeed(this.inner.bodyStream)
        this.reader = "Stream"
        // A body that the kit has read is still available to the handler, once.
        return this.isReadByKit ? Effect.succeed(Stream.fromEffect(this.whole)) : this.recordedStream
      })
    )
  }

  /** The body as a stream that records its chunks. The handler pulls it first, then the kit pulls the rest. */
  private get recordedStream(): Effect.Effect<Exchange["bodyStream"]> {
    return Effect.map(Scope.extend(Stream.toPull(this.inner.bodyStream), this.scope), (pull) => {
      const recording: Pull = Effect.tapBoth(pull, {
        onFailure: (end) => Effect.sync(() => Option.isNone(end) && this.body.end("Complete")),
        onSuccess: (pieces) =>
          Effect.sync(() => {
            for (const piece of pieces) this.body.add(piece)
          })
      })
      this.pull = recording
      return Stream.repeatEffectChunkOption(recording)
    })
  }

  /** Reads the body if the handler has not begun to. */
  readonly readUnrequested: Effect.Effect<void> = Effect.suspend(() => {
    if (this.body.state !== "Receiving" || this.reader !== "None") return Effect.void
    this.isReadByKit = true
    return Effect.ignore(this.whole)
  })

  /** Reads the rest of the body, as far as the server would discard it to reach the next request. */
  drainBody(maxDiscardedBody: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const isRequested = this.reader !== "None" || this.isReadByKit
      // A client that expects 100 (Continue) has not received it, so it may not send the body.
      if (this.body.state !== "Receiving" || (!isRequested && has(this.request, "Expect"))) return Effect.void
      if (this.reader === "Whole" || this.isReadByKit) return Effect.ignore(this.whole)
      const rest =
        this.pull === undefined
          ? Effect.zipRight(this.recordedStream, this.pullUpTo(maxDiscardedBody))
          : this.pullUpTo(maxDiscardedBody)
      return Effect.ignore(rest)
    })
  }

  private pullUpTo(remaining: number): Effect.Effect<void, Option.Option<ValueError>> {
    return Effect.suspend(() => {
      const declaredLength = HttpHeaders.getOrElse(this.request.headers, "Content-Length", () => "0")
      if (this.pull === undefined || remaining < 0 || Number(declaredLength) - this.body.size > remaining)
        return Effect.void
      const before = this.body.size
      return Effect.flatMap(this.pull, () => this.pullUpTo(remaining - (this.body.size - before)))
    })
  }
}

/** The same request, with another exchange: `Request` reads everything else from its prototype. */
export const withExchange = (request: Request, exchange: Exchange): Request =>
  Object.create(request, { [ExchangeKey]: { value: exchange, enumerable: true } })
