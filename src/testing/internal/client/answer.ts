/**
 * An answer as it arrives: its head, the pieces of its body that nobody has taken, and how it has ended.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { Signal } from "../../../internal/runtime.js"
import type { Head } from "./responseReader.js"

/** Bytes that nobody has taken; beyond it the server has to wait. */
const capacity = 64 * 1024

const streamed = (): Error => new Error("the body of the response was streamed already")

/** In the words of the platform's own clients. */
const tooLarge = (): Error => new Error("maxBytes exceeded")

/** What an answer is read from. */
export interface Source {
  /** Goes on reading, since there is room. */
  readonly readOn: () => void
  /** Ends the connection at once: nobody reads what would come. */
  readonly reset: (why: () => Error) => void
}

export class Answer {
  /** "Whole", or what it has broken off by; undefined as long as more may come. */
  end: "Whole" | Error | undefined
  private parts: Array<Buffer> = []
  private size = 0
  private taker: "Nobody" | "Whole" | "Stream" = "Nobody"
  private readonly changed = new Signal()

  constructor(
    readonly head: Head,
    readonly source: Source
  ) {}

  add(bytes: Buffer): void {
    this.parts.push(bytes)
    this.size += bytes.length
    this.changed.wake()
  }

  finish(how: "Whole" | Error): void {
    if (this.end !== undefined) return
    this.end = how
    this.changed.wake()
  }

  get isFull(): boolean {
    return this.taker !== "Whole" && this.size >= capacity
  }

  /** Nobody takes what is left: the server is told at once that its client has gone. */
  leave(): void {
    if (this.end === undefined) this.source.reset(() => new Error("the body of the response was given up"))
  }

  /** The next pieces, at least one; none at the end. */
  readonly pieces: Effect.Effect<ReadonlyArray<Buffer>, Error> = Effect.suspend(() => {
    this.taker = "Stream"
    const { parts } = this
    if (parts.length > 0) {
      this.parts = []
      this.size = 0
      this.source.readOn()
      return Effect.succeed(parts)
    }
    if (this.end === undefined) return Effect.zipRight(this.changed.waitOrLeave(), this.pieces)
    return this.end === "Whole" ? Effect.succeed([]) : Effect.fail(this.end)
  })

  /** The whole body, as often as it is asked for, if it is not larger than that. */
  whole(most: number): Effect.Effect<Buffer, Error> {
    return Effect.suspend(() => {
      if (this.taker === "Stream") return Effect.fail(streamed())
      this.taker = "Whole"
      if (this.size > most) {
        this.leave()
        return Effect.fail(tooLarge())
      }
      if (this.end === undefined) {
        this.source.readOn()
        return Effect.zipRight(this.changed.waitOrLeave(), this.whole(most))
      }
      if (this.end !== "Whole") return Effect.fail(this.end)
      if (this.parts.length !== 1) this.parts = [Buffer.concat(this.parts)]
      return Effect.succeed(this.parts[0]!)
    })
  }
}
