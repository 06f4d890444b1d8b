/**
 * A connection that has been handed over to another protocol: as a stream and a `write` for fibers, and as calls for
 * code that knows none.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Duplex } from "../../Response.js"
import type { ByteLine } from "../exchange.js"
import type { Line } from "./line.js"

/** What is asked of whoever hands over: the wait for a client that is slow to read is an answer's. */
export interface Giver {
  readonly mustWait: () => boolean
  readonly canWrite: Effect.Effect<void>
  /** From now on the end of the connection is no surprise, and interrupts nobody. */
  readonly expectEnd: () => void
}

export class Upgrade implements ByteLine {
  private rest: Uint8Array | undefined

  constructor(
    private readonly line: Line,
    private readonly giver: Giver
  ) {
    const rest = line.parser.takeRest()
    this.rest = rest.length > 0 ? rest : undefined
  }

  get duplex(): Duplex {
    const { giver } = this
    return {
      stream: Stream.repeatEffectOption(this.next),
      write: (content) =>
        Effect.suspend(() => {
          this.push(content)
          return giver.mustWait() ? giver.canWrite : Effect.void
        })
    }
  }

  private readonly next: Effect.Effect<Uint8Array, Option.Option<never>> = Effect.suspend(() => {
    const bytes = this.read()
    if (bytes === "Ended") return Effect.fail(Option.none())
    return bytes === undefined ? Effect.zipRight(this.line.awaitBytes(), this.next) : Effect.succeed(bytes)
  })

  read(): Uint8Array | "Ended" | undefined {
    const { inbox } = this.line
    const bytes = this.rest ?? inbox.pull()
    this.rest = undefined
    return bytes ?? (inbox.isEnded ? "Ended" : undefined)
  }

  whenReadable(go: () => void): void {
    this.line.onceReceived(go)
  }

  write(content: string | Uint8Array): boolean {
    this.push(content)
    return !this.line.outbox.isFull()
  }

  whenWritable(go: () => void): void {
    this.line.onceSent(go)
  }

  end(): void {
    this.giver.expectEnd()
    this.line.outbox.flush()
    this.line.connection.end()
  }

  destroy(): void {
    this.giver.expectEnd()
    // What was said in this very turn is a goodbye, and the system takes it if the client reads at all.
    this.line.outbox.flush()
    this.line.connection.destroy()
  }

  private push(content: string | Uint8Array): void {
    this.line.outbox.pushContent(content, typeof content === "string" ? Buffer.byteLength(content) : content.byteLength)
  }
}
