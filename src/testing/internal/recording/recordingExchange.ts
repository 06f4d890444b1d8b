/**
 * An exchange that keeps what passes through it: the body as it is read, and whether an answer has begun.
 *
 * @internal
 */
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

/** The body of one request, as far as anybody has read it. */
export class RecordedBody {
  private parts: Array<Uint8Array> = []
  private readonly changed = new Signal()
  size = 0
  /** Whether more may come; what has come to its end is all that was sent, or is not. */
  state: "Receiving" | "Complete" | "Partial" = "Receiving"

  add(bytes: Uint8Array): void {
    if (this.state !== "Receiving") return
    this.parts.push(bytes)
    this.size += bytes.length
  }

  /** That was all, or all that will be read. */
  end(state: "Complete" | "Partial"): void {
    if (this.state !== "Receiving") return
    this.state = state
    this.changed.wake()
  }

  /** The whole body at once, however much of it has been seen. */
  setWhole(whole: Uint8Array): void {
    if (this.state !== "Receiving") return
    this.parts = [whole]
    this.size = whole.length
    this.end("Complete")
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  readonly ended: Effect.Effect<void> = Effect.suspend(() =>
    this.state === "Receiving" ? Effect.zipRight(this.changed.waitOrLeave(), this.ended) : Effect.void
  )
}

type Pull = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<ValueError>>

const has = (request: Request, name: string): boolean => HttpHeaders.has(request.headers, name)

export class RecordingExchange implements Exchange {
  readonly body = new RecordedBody()
  /** Whether anything of an answer has been given: it can no longer be another. */
  hasResponseStarted = false
  private reader: "None" | "Whole" | "Stream" = "None"
  /** Somebody else than the handler has asked for the body. */
  private isReadByKit = false
  private pull: Pull | undefined
  private readonly inner: Exchange

  constructor(
    readonly request: Request,
    private readonly scope: Scope.Scope
  ) {
    this.inner = request[ExchangeKey]
    // Without a framing there is no body (RFC 9112 §6.3).
    if (!has(request, "Content-Length") && !has(request, "Transfer-Encoding")) this.body.end("Complete")
  }

  private markStarted<A>(answer: A | ValueError): A | ValueError {
    if (!isValueError(answer)) this.hasResponseStarted = true
    return answer
  }

  readonly respond: Exchange["respond"] = (code, content, headers) =>
    this.markStarted(this.inner.respond(code, content, headers))

  readonly startResponse: Exchange["startResponse"] = (code, headers) => {
    const answer = this.inner.startResponse(code, headers)
    if (isValueError(answer)) return answer
    // A refusal is a `ValueError` here, and nothing is success.
    const noted = (refusal: ValueError | undefined): ValueError | undefined => {
      if (refusal === undefined) this.hasResponseStarted = true
      return refusal
    }
    const open: ResponseBodyWriter = {
      sendHead: () => noted(answer.sendHead()),
      acceptsContent: answer.acceptsContent,
      write: (content) => noted(answer.write(content)),
      end: (trailers) => this.markStarted(answer.end(trailers))
    }
    return open
  }

  readonly sendInformational: Exchange["sendInformational"] = (code, headers) =>
    this.inner.sendInformational(code, headers)

  readonly upgrade: Exchange["upgrade"] = (headers) => this.markStarted(this.inner.upgrade(headers))

  readonly tunnel: Exchange["tunnel"] = (headers) => this.markStarted(this.inner.tunnel(headers))

  readonly isBackpressured: Exchange["isBackpressured"] = () => this.inner.isBackpressured()

  get awaitShutdown(): Exchange["awaitShutdown"] {
    return this.inner.awaitShutdown
  }

  get awaitWritable(): Effect.Effect<void> {
    return this.inner.awaitWritable
  }

  get state(): Exchange["state"] {
    return this.inner.state
  }

  get isClientGone(): boolean {
    return this.inner.isClientGone
  }

  readonly readBody: Exchange["readBody"] = (most) =>
    Effect.suspend(() => {
      if (this.reader === "None") this.reader = "Whole"
      return this.readWhole(most)
    })

  readonly keep: Exchange["keep"] = (bytes) => this.inner.keep(bytes)

  private get whole(): ReturnType<Exchange["readBody"]> {
    return this.readWhole(Number.POSITIVE_INFINITY)
  }

  private readWhole(most: number): ReturnType<Exchange["readBody"]> {
    return Effect.tap(this.inner.readBody(most), (bytes) => this.body.setWhole(bytes))
  }

  get trailers(): Exchange["trailers"] {
    return Effect.suspend(() => {
      if (this.reader === "None") this.reader = "Whole"
      const { trailers } = this.inner
      return this.reader === "Whole" ? Effect.tap(trailers, () => this.whole) : trailers
    })
  }

  get bodyStream(): Exchange["bodyStream"] {
    return Stream.unwrap(
      Effect.suspend(() => {
        if (this.reader !== "None") return Effect.succeed(this.inner.bodyStream)
        this.reader = "Stream"
        // What was read in the handler's place is his all the same, once.
        return this.isReadByKit ? Effect.succeed(Stream.fromEffect(this.whole)) : this.recordedStream
      })
    )
  }

  /** The stream is pulled by the handler first, and for what he leaves by the kit. */
  private get recordedStream(): Effect.Effect<Exchange["bodyStream"]> {
    return Effect.map(Scope.extend(Stream.toPull(this.inner.bodyStream), this.scope), (pull) => {
      const kept: Pull = Effect.tapBoth(pull, {
        onFailure: (end) => Effect.sync(() => Option.isNone(end) && this.body.end("Complete")),
        onSuccess: (pieces) =>
          Effect.sync(() => {
            for (const piece of pieces) this.body.add(piece)
          })
      })
      this.pull = kept
      return Stream.repeatEffectChunkOption(kept)
    })
  }

  /** Reads the body in the place of a handler that has not asked for it. */
  readonly readUnrequested: Effect.Effect<void> = Effect.suspend(() => {
    if (this.body.state !== "Receiving" || this.reader !== "None") return Effect.void
    this.isReadByKit = true
    return Effect.ignore(this.whole)
  })

  /** Reads what a handler has left, as far as the server would throw it away to reach the next request. */
  drainBody(maxDiscardedBody: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const isRequested = this.reader !== "None" || this.isReadByKit
      // Who waits to be told to go on has not been.
      if (this.body.state !== "Receiving" || (!isRequested && has(this.request, "Expect"))) return Effect.void
      if (this.reader === "Whole" || this.isReadByKit) return Effect.ignore(this.whole)
      const rest =
        this.pull === undefined
          ? Effect.zipRight(this.recordedStream, this.pullUpTo(maxDiscardedBody))
          : this.pullUpTo(maxDiscardedBody)
      return Effect.ignore(rest)
    })
  }

  private pullUpTo(left: number): Effect.Effect<void, Option.Option<ValueError>> {
    return Effect.suspend(() => {
      const announced = HttpHeaders.getOrElse(this.request.headers, "Content-Length", () => "0")
      if (this.pull === undefined || left < 0 || Number(announced) - this.body.size > left) return Effect.void
      const before = this.body.size
      return Effect.flatMap(this.pull, () => this.pullUpTo(left - (this.body.size - before)))
    })
  }
}

/** The same request, with another exchange: `Request` reads everything else from its prototype. */
export const withExchange = (request: Request, exchange: Exchange): Request =>
  Object.create(request, { [ExchangeKey]: { value: exchange, enumerable: true } })
