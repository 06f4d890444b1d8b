/** Failures of the handlers and the listener of one server that have not been reported yet. */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { HandlerFailure } from "../../Failures.js"

/** A cause with its failures as defects, since the test's error type does not include them. */
const asDefects = (cause: Cause.Cause<unknown>): Cause.Cause<never> => Cause.flatMap(cause, Cause.die)

/** A listener that failed: no connection is accepted any more. */
export class AcceptFailure extends Data.TaggedClass("AcceptFailure")<{ readonly cause: Cause.Cause<unknown> }> {
  get message(): string {
    return `The listener failed: ${Cause.pretty(this.cause)}`
  }
}

/** A failure that the test fails with. */
type Failure = HandlerFailure | AcceptFailure

const isHandlerFailure = (failure: Failure): failure is HandlerFailure => failure._tag === "HandlerFailure"

/** The cause by which a test fails for these failures. */
export const combine = (failures: ReadonlyArray<Failure>): Cause.Cause<never> =>
  failures
    .map(({ cause }) => asDefects(cause))
    .reduce((all, each) => (Cause.isEmpty(all) ? each : Cause.parallel(all, each)), Cause.empty)

/**
 * Prints what the server has recorded in a test that fails by itself, so that its own failure is kept. On the console,
 * since tests often have no logger, and runners show the console output of a test.
 */
export const reportOnConsole = (messages: ReadonlyArray<string>): Effect.Effect<void> =>
  messages.length === 0 ? Effect.void : Console.error(["The test server also recorded:", ...messages].join("\n"))

const messagesOf = (failures: ReadonlyArray<Failure>): ReadonlyArray<string> => failures.map(({ message }) => message)

export class HandlerFailures {
  private unreported: Array<Failure> = []
  /** Number of fibers waiting in `take`. */
  private takers = 0
  private readonly changed = new Signal()

  add(failure: Failure): void {
    this.unreported.push(failure)
    this.changed.wake()
  }

  /** Takes all unreported failures except those in `before`; the caller reports them. */
  claim(before: ReadonlySet<Failure> = new Set()): ReadonlyArray<Failure> {
    const claimed = this.unreported.filter((failure) => !before.has(failure))
    this.unreported = this.unreported.filter((failure) => before.has(failure))
    return claimed
  }

  /** Takes the next failure, which is then expected; a fiber that is interrupted while waiting takes none. */
  readonly take: Effect.Effect<HandlerFailure> = Effect.uninterruptibleMask((restore) => {
    const next: Effect.Effect<HandlerFailure> = Effect.suspend(() => {
      const first = this.unreported.find(isHandlerFailure)
      if (first === undefined) return Effect.zipRight(restore(this.changed.waitOrLeave()), next)
      this.unreported = this.unreported.filter((failure) => failure !== first)
      return Effect.succeed(first)
    })
    this.takers++
    return Effect.ensuring(
      next,
      Effect.sync(() => {
        this.takers--
        // A failure may now be left without a taker.
        this.changed.wake()
      })
    )
  })

  /** Fails with the next failures that have no taker. */
  private failOnNext(before: ReadonlySet<Failure>): Effect.Effect<never> {
    return this.changed.until(() => {
      const isExpected = this.unreported.every(isHandlerFailure) && this.unreported.length <= this.takers
      const claimed = isExpected ? [] : this.claim(before)
      return claimed.length === 0 ? undefined : Effect.failCause(combine(claimed))
    })
  }

  /** Runs an effect that fails as soon as a handler fails. */
  supervise<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      // Handler failures of an earlier, unsupervised test on the same server.
      const before = new Set(this.unreported.filter(isHandlerFailure))
      const check = Effect.suspend(() => {
        const claimed = this.claim(before)
        return claimed.length === 0 ? Effect.void : Effect.failCause(combine(claimed))
      })
      // Fibers that the effect forks belong to its caller, as without supervision: the effect may return one.
      return Effect.transplant((graft) => Effect.raceFirst(graft(effect), this.failOnNext(before))).pipe(
        Effect.zipLeft(check),
        Effect.onError(() => Effect.suspend(() => reportOnConsole(messagesOf(this.claim(before)))))
      )
    })
  }
}
