/**
 * What is said of a gate: that it has closed, and that it is open again. There are two, the one in front of the fork, and the
 * one in front of bodies that are read whole.
 *
 * Under load it does both many times a second, so it is told at most once in a while.
 *
 * @internal
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Ref from "effect/Ref"

/** Milliseconds of the clock between two reports. */
const interval = 10_000

/** What a gate is closed by. */
interface Budget {
  readonly held: Ref.Ref<number>
  readonly max: number
}

/** What is logged of a gate. */
interface Words {
  readonly closed: string
  readonly opened: string
}

const connectionWords: Words = {
  closed: "no room for another connection: those that arrive wait, or are refused",
  opened: "there is room for connections again"
}

export const bodyWords: Words = {
  closed: "no memory for further request bodies: their reading waits, or is refused",
  opened: "there is memory for request bodies again"
}

export class GateLog {
  private toldAt = Number.NEGATIVE_INFINITY
  private isTold = false
  private untold = 0

  constructor(
    private readonly budget: Budget,
    private readonly clock: Clock.Clock,
    private readonly words: Words = connectionWords
  ) {}

  readonly closed: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.clock.unsafeCurrentTimeMillis()
    if (now - this.toldAt < interval) {
      this.untold++
      return Effect.void
    }
    // That it is open again is told once for each time that this is, whoever of several accept loops finds it first.
    this.isTold = true
    this.toldAt = now
    return this.annotated(Effect.logWarning(this.words.closed))
  })

  readonly opened: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isTold) return Effect.void
    this.isTold = false
    return this.annotated(Effect.logInfo(this.words.opened))
  })

  /** Waits for room. A gate that has closed untold and stays so is told of as soon as it may be: the last word was another. */
  closedUntil(room: Effect.Effect<void>): Effect.Effect<void> {
    const shut = Effect.suspend(() => {
      if (this.isTold) return room
      const due = Duration.millis(this.toldAt + interval - this.clock.unsafeCurrentTimeMillis())
      const late = Effect.zipRight(this.clock.sleep(due), Effect.zipRight(this.closed, Effect.never))
      return Effect.raceFirst(room, late)
    })
    return this.closed.pipe(Effect.zipRight(shut), Effect.zipRight(this.opened))
  }

  private annotated(log: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.flatMap(this.budget.held, (held) => {
      const annotations = { held, max: this.budget.max, closedUntold: this.untold }
      this.untold = 0
      return Effect.annotateLogs(log, annotations)
    })
  }
}
