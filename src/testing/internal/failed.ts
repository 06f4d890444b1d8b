/**
 * The failures of one server's handlers, until somebody has reported them.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Signal } from "../../internal/runtime.js"
import type { HandlerFailure } from "../Failures.js"

/** The same failures as defects: a test does not have them in its types, and is to fail by them all the same. */
const asDefects = (cause: Cause.Cause<unknown>): Cause.Cause<never> => Cause.flatMap(cause, Cause.die)

const together = (causes: ReadonlyArray<Cause.Cause<never>>): Cause.Cause<never> =>
  causes.reduce((all, each) => (Cause.isEmpty(all) ? each : Cause.parallel(all, each)), Cause.empty)

export class Failed {
  private unreported: Array<HandlerFailure> = []
  private readonly came = new Signal()

  add(failure: HandlerFailure): void {
    this.unreported.push(failure)
    this.came.wake()
  }

  /** The causes of those that nobody has reported, who does so now. */
  claim(): Cause.Cause<never> {
    const causes = this.unreported.map(({ cause }) => asDefects(cause))
    this.unreported = []
    return together(causes)
  }

  /** Takes the next one, waiting for it: it is expected, and fails nothing. */
  readonly take: Effect.Effect<HandlerFailure> = Effect.suspend(() => {
    const first = this.unreported.shift()
    return first === undefined ? Effect.zipRight(this.came.waitOrLeave(), this.take) : Effect.succeed(first)
  })

  /** Fails with what there is to report, if there is anything. */
  readonly check: Effect.Effect<void> = Effect.suspend(() => {
    const cause = this.claim()
    return Cause.isEmpty(cause) ? Effect.void : Effect.failCause(cause)
  })

  private readonly first: Effect.Effect<never> = Effect.suspend(() =>
    this.unreported.length === 0
      ? Effect.zipRight(this.came.waitOrLeave(), this.first)
      : Effect.zipRight(this.check, Effect.never)
  )

  /** Fails as soon as a handler does, however long the effect would have gone on. */
  supervise<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.zipLeft(Effect.raceFirst(effect, this.first), this.check)
  }
}
