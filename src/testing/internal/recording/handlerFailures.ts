/**
 * The failures of one server's handlers, until somebody has reported them.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { HandlerFailure } from "../../Failures.js"

/** The same failures as defects: a test does not have them in its types, and is to fail by them all the same. */
const asDefects = (cause: Cause.Cause<unknown>): Cause.Cause<never> => Cause.flatMap(cause, Cause.die)

/** What a test fails by for these. */
export const combine = (failures: ReadonlyArray<HandlerFailure>): Cause.Cause<never> =>
  failures
    .map(({ cause }) => asDefects(cause))
    .reduce((all, each) => (Cause.isEmpty(all) ? each : Cause.parallel(all, each)), Cause.empty)

/**
 * Tells what there is besides the failure of the test, whose place nothing takes. By the console, since a test's logger is
 * often none, and a runner shows the console beside the test.
 */
export const reportOnConsole = (seen: ReadonlyArray<string>): Effect.Effect<void> =>
  seen.length === 0 ? Effect.void : Console.error(["besides, the test server has seen:", ...seen].join("\n"))

const messagesOf = (failures: ReadonlyArray<HandlerFailure>): ReadonlyArray<string> =>
  failures.map(({ message }) => message)

export class HandlerFailures {
  private unreported: Array<HandlerFailure> = []
  /** How many wait to take one. */
  private takers = 0
  private readonly changed = new Signal()

  add(failure: HandlerFailure): void {
    this.unreported.push(failure)
    this.changed.wake()
  }

  /** Those that nobody has reported, who does so now; but for those that had come before. */
  claim(before: ReadonlySet<HandlerFailure> = new Set()): ReadonlyArray<HandlerFailure> {
    const claimed = this.unreported.filter((failure) => !before.has(failure))
    this.unreported = this.unreported.filter((failure) => before.has(failure))
    return claimed
  }

  /** Takes the next one, waiting for it: it is expected, and fails nothing. Who is interrupted meanwhile takes none. */
  readonly take: Effect.Effect<HandlerFailure> = Effect.uninterruptibleMask((restore) => {
    const next: Effect.Effect<HandlerFailure> = Effect.suspend(() => {
      const first = this.unreported.shift()
      return first === undefined ? Effect.zipRight(restore(this.changed.waitOrLeave()), next) : Effect.succeed(first)
    })
    this.takers++
    return Effect.ensuring(
      next,
      Effect.sync(() => {
        this.takers--
        // It may be a failure now that nobody takes.
        this.changed.wake()
      })
    )
  })

  /** Fails with the next ones for which nobody waits. */
  private failOnNext(before: ReadonlySet<HandlerFailure>): Effect.Effect<never> {
    return Effect.suspend(() => {
      const claimed = this.unreported.length > this.takers ? this.claim(before) : []
      return claimed.length === 0
        ? Effect.zipRight(this.changed.waitOrLeave(), this.failOnNext(before))
        : Effect.failCause(combine(claimed))
    })
  }

  /** Fails as soon as a handler does, however long the effect would have gone on. */
  supervise<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      // Somebody else's: of a test that has had the server before, and was not supervised.
      const before = new Set(this.unreported)
      const check = Effect.suspend(() => {
        const claimed = this.claim(before)
        return claimed.length === 0 ? Effect.void : Effect.failCause(combine(claimed))
      })
      return Effect.raceFirst(effect, this.failOnNext(before)).pipe(
        Effect.zipLeft(check),
        Effect.onError(() => Effect.suspend(() => reportOnConsole(messagesOf(this.claim(before)))))
      )
    })
  }
}
