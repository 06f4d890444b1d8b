/**
 * What is said of a gate: that it has closed, and that it is open again. There are two, the one in front of the fork, and the
 * one in front of bodies that are read whole.
 *
 * Under load it does both many times a second, so it is told at most once in a while.
 *
 * @internal
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Ref from "effect/Ref"
import { type TimeSource, timeSourceOf } from "../host/timeSource.js"

/** Milliseconds between two reports. */
const interval = 10_000

/** What a gate is closed by. */
interface Budget {
  readonly held: Ref.Ref<number>
  readonly max: number
}

/** What is logged of a gate. */
interface AdmissionMessages {
  readonly closed: string
  readonly opened: string
}

const connectionMessages: AdmissionMessages = {
  closed: "no room for another connection: those that arrive wait, or are refused",
  opened: "there is room for connections again"
}

export const bodyMessages: AdmissionMessages = {
  closed: "no memory for further request bodies: their reading waits, or is refused",
  opened: "there is memory for request bodies again"
}

export class AdmissionLog {
  private lastLoggedAt = Number.NEGATIVE_INFINITY
  private isLogged = false
  private suppressed = 0
  private readonly time: TimeSource

  constructor(
    private readonly budget: Budget,
    clock: Clock.Clock,
    private readonly words: AdmissionMessages = connectionMessages
  ) {
    this.time = timeSourceOf(clock)
  }

  readonly logClosed: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.time.now()
    if (now - this.lastLoggedAt < interval) {
      this.suppressed++
      return Effect.void
    }
    // That it is open again is told once for each time that this is, whoever of several accept loops finds it first.
    this.isLogged = true
    this.lastLoggedAt = now
    return this.annotated(Effect.logWarning(this.words.closed))
  })

  readonly logOpened: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isLogged) return Effect.void
    this.isLogged = false
    return this.annotated(Effect.logInfo(this.words.opened))
  })

  /** Waits for room. A gate that has closed untold and stays so is told of as soon as it may be: the last word was another. */
  awaitOpening(room: Effect.Effect<void>): Effect.Effect<void> {
    const shut = Effect.suspend(() => {
      if (this.isLogged) return room
      const due = this.lastLoggedAt + interval - this.time.now()
      const late = Effect.zipRight(this.time.sleep(due), Effect.zipRight(this.logClosed, Effect.never))
      return Effect.raceFirst(room, late)
    })
    return this.logClosed.pipe(Effect.zipRight(shut), Effect.zipRight(this.logOpened))
  }

  private annotated(log: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.flatMap(this.budget.held, (held) => {
      const annotations = { held, max: this.budget.max, closedUntold: this.suppressed }
      this.suppressed = 0
      return Effect.annotateLogs(log, annotations)
    })
  }
}
