/**
 * Log of an admission gate: that it has closed, and that it has opened again. There are two gates: the descriptor budget
 * for connections, and the body budget for bodies that are read whole.
 *
 * Under load a gate closes and opens many times a second, so the log is rate-limited.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Ref from "effect/Ref"
import { type TimeSource, timeSourceOf } from "../host/timeSource.js"

/** Minimum milliseconds between two warnings. */
const interval = 10_000

/** A gate: the name of its budget, and what happens while that is exhausted. */
interface Gate {
  readonly name: string
  readonly effect: string
}

const connectionGate: Gate = { name: "descriptor", effect: "new connections are queued or rejected" }

export const bodyGate: Gate = { name: "body", effect: "reading of request bodies is suspended or rejected" }

export class AdmissionLog {
  private lastLoggedAt = Number.NEGATIVE_INFINITY
  private isLogged = false
  private suppressed = 0
  private readonly time: TimeSource

  constructor(
    private readonly budget: { readonly held: Ref.Ref<number>; readonly max: number },
    clock: Clock.Clock,
    private readonly gate = connectionGate
  ) {
    this.time = timeSourceOf(clock)
  }

  readonly logClosed: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.time.now()
    if (now - this.lastLoggedAt < interval) {
      this.suppressed++
      return Effect.void
    }
    // Each logged closing is followed by one logged opening, by the first of several accept loops to find it.
    this.isLogged = true
    this.lastLoggedAt = now
    return this.annotated(Effect.logWarning(`${this.gate.name} budget exhausted: ${this.gate.effect}`))
  })

  readonly logOpened: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isLogged) return Effect.void
    this.isLogged = false
    return this.annotated(Effect.logInfo(`${this.gate.name} budget available again`))
  })

  /** Waits for capacity. A closing that was suppressed is logged later, if the gate is still closed after the interval. */
  awaitOpening(awaitRoom: Effect.Effect<void>): Effect.Effect<void> {
    const opened = Effect.suspend(() => {
      if (this.isLogged) return awaitRoom
      const delay = this.lastLoggedAt + interval - this.time.now()
      const logLater = Effect.zipRight(this.time.sleep(delay), Effect.zipRight(this.logClosed, Effect.never))
      return Effect.raceFirst(awaitRoom, logLater)
    })
    return this.logClosed.pipe(Effect.zipRight(opened), Effect.zipRight(this.logOpened))
  }

  private annotated(log: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.flatMap(this.budget.held, (held) => {
      const annotations = { held, max: this.budget.max, suppressed: this.suppressed }
      this.suppressed = 0
      return Effect.annotateLogs(log, annotations)
    })
  }
}
