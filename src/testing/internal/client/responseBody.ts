/** The content of one response, between the connection that receives it and the effect that reads it. */
import * as Effect from "effect/Effect"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { ResponseHead } from "./responseHead.js"

/** Unread bytes at which reading from the connection stops, as backpressure for the server. */
const highWaterMark = 64 * 1024

const alreadyStreamed = (): Error => new Error("The response body was already streamed")

/** The message of the platform's own clients. */
const tooLarge = (): Error => new Error("maxBytes exceeded")

const cancelled = (): Error => new Error("The response body was cancelled")

/** The connection that a response is received from. */
export interface ResponseSource {
  /** Continues reading, after buffered content was taken. */
  readonly resume: () => void
  /** Resets the connection: the rest of the response is not needed. */
  readonly reset: (cause: () => Error) => void
}

export class ResponseBody {
  private end: "Complete" | Error | undefined
  private pieces: Array<Buffer> = []
  private size = 0
  private reader: "None" | "Whole" | "Stream" = "None"
  private readonly changed = new Signal()

  constructor(
    readonly head: ResponseHead,
    private readonly source: ResponseSource
  ) {}

  add(bytes: Buffer): void {
    this.pieces.push(bytes)
    this.size += bytes.length
    this.changed.wake()
  }

  /** Ends the content: completely, or by an error that follows what has been received. */
  finish(end: "Complete" | Error): void {
    if (this.end !== undefined) return
    this.end = end
    this.changed.wake()
  }

  /** Whether the connection should read no further for now. */
  get isFull(): boolean {
    return this.reader !== "Whole" && this.size >= highWaterMark
  }

  /** Discards the rest of the content, by a reset that the server notices at once. */
  cancel(): void {
    if (this.end === undefined) this.source.reset(cancelled)
  }

  /** The next pieces, at least one; none at the end. */
  readonly nextPieces: Effect.Effect<ReadonlyArray<Buffer>, Error> = this.changed.until(() => {
    this.reader = "Stream"
    const { pieces } = this
    if (pieces.length > 0) {
      this.pieces = []
      this.size = 0
      this.source.resume()
      return Effect.succeed(pieces)
    }
    if (this.end === undefined) return undefined
    return this.end === "Complete" ? Effect.succeed([]) : Effect.fail(this.end)
  })

  /** The whole content, any number of times; an error if it has more bytes than allowed. */
  whole(maxBytes: number): Effect.Effect<Buffer, Error> {
    return this.changed.until((): Effect.Effect<Buffer, Error> | undefined => {
      if (this.reader === "Stream") return Effect.fail(alreadyStreamed())
      this.reader = "Whole"
      if (this.size > maxBytes) {
        this.cancel()
        return Effect.fail(tooLarge())
      }
      if (this.end === undefined) {
        this.source.resume()
        return undefined
      }
      if (this.end !== "Complete") return Effect.fail(this.end)
      if (this.pieces.length !== 1) this.pieces = [Buffer.concat(this.pieces)]
      return Effect.succeed(this.pieces[0]!)
    })
  }
}
