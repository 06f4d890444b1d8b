/**
 * One handler at work, in a fiber that is its own: from the Effect it gave to the end of everything it left behind.
 *
 * Errors are settled here, in one block, by how far the answer is: not begun, it becomes an error's answer; begun, the
 * connection breaks; whole, it stands. What goes wrong reaches the log or `onFailure` once, whoever leaves meanwhile.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import { ValueError } from "../../Errors.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { Request } from "../../Request.js"
import type { Handler, Responded } from "../../Response.js"
import { Answering } from "../answering.js"
import { Hosted } from "../hosted.js"
import { clientGoneId, unsafeInterrupt } from "../runtime.js"
import { tally } from "../tally.js"
import type { ExchangeImpl } from "./exchange.js"
import type { Service } from "./household.js"
import { answeredBy, errorHeaders, errorText, plainText } from "./ownAnswers.js"
import { type RequestFibers, RequestScope } from "./requestFibers.js"

/** A handler may only return the evidence that its own request was answered. */
const notEvidence = (): Cause.Cause<never> =>
  Cause.die(new Error("a handler must return the evidence that its own request was answered"))

const notAnEffect = (): Cause.Cause<never> => Cause.die(new Error("a handler must return an Effect"))

/** What of a handler is left to be run: nothing, if it does no more than `respond`, which is done now. */
export const leftOf = <E, R>(
  handler: Handler<E, R>,
  request: Request,
  exchange: ExchangeImpl
): Effect.Effect<Responded, E | ValueError, R> | undefined => {
  try {
    const answer = handler(request)
    // Types forbid to return nothing, but code without types does, and would find its client gone without a word.
    if (!(answer instanceof Answering)) return answer ?? Exit.failCause(notAnEffect())
    const evidence = answer.unsafeRun()
    if (evidence instanceof ValueError) return evidence
    return exchange.isEvidence(evidence) ? undefined : Exit.failCause(notEvidence())
  } catch (defect) {
    // A handler may throw before it has made an Effect: that is a defect like any other.
    return Exit.die(defect)
  }
}

export class Handling<E, R> {
  private readonly scope = new RequestScope()
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** What the fiber runs, if it is of another world, which may have a say in when it ends. */
  private hosted: Hosted | undefined
  /** What runs behind the handler: the report, and then its finalizers. */
  private conclusion: Fiber.RuntimeFiber<void> | undefined
  /** It is to end: because its client has gone, or so that the server may. */
  private isToEnd: "ClientGone" | "ServerCloses" | undefined

  constructor(
    private readonly service: Service<E, R>,
    private readonly request: Request,
    private readonly exchange: ExchangeImpl
  ) {}

  /**
   * Runs a handler in this very turn, as far as it goes without waiting; `whenOver` is told when its fibers have ended, its
   * finalizers have run and what there was to report has been. What comes behind the handler needs a fiber only if there
   * is something to be run, and has one that no client interrupts.
   */
  run(handler: Effect.Effect<Responded, E | ValueError, R>, fibers: RequestFibers, whenOver: () => void): void {
    const { clock } = fibers
    const began = clock.unsafeCurrentTimeNanos()
    const onOver = (): void => {
      tally.handled(Number(clock.unsafeCurrentTimeNanos() - began) / 1e6)
      whenOver()
    }
    const onExit = (exit: Exit.Exit<Responded, E | ValueError>): void => {
      const rest = Exit.isSuccess(exit) ? this.settled(exit.value) : this.failed(exit.cause)
      if (rest === undefined) {
        onOver()
        return
      }
      this.conclusion = fibers.forkUninterruptible(rest)
      this.conclusion.addObserver(onOver)
    }
    if (handler instanceof Hosted) {
      this.hosted = handler
      this.begun(fibers.host(handler, this.scope)).addObserver(onExit)
    } else {
      // Its failure is a value: one that ends a fiber is logged by Effect besides.
      const fiber = this.begun(fibers.fork(Effect.exit(handler), this.scope))
      fiber.addObserver((ended) => onExit(Exit.flatten(ended)))
    }
  }

  private begun<F extends Fiber.RuntimeFiber<unknown, unknown>>(fiber: F): F {
    this.fiber = fiber
    if (this.isToEnd !== undefined) this.interrupt(this.isToEnd)
    return fiber
  }

  /** Ends the handler; its finalizers run. A client takes no report with it, but a server that closes waits for none. */
  interrupt(why: "ClientGone" | "ServerCloses"): void {
    this.isToEnd ??= why
    this.exchange.isDeserted = this.isToEnd === "ClientGone"
    if (this.fiber !== undefined) this.end(this.fiber, why === "ClientGone" ? clientGoneId : undefined)
    if (why === "ServerCloses" && this.conclusion !== undefined) unsafeInterrupt(this.conclusion)
  }

  private end(fiber: Fiber.RuntimeFiber<unknown, unknown>, inNameOf: FiberId.FiberId | undefined): void {
    if (this.hosted === undefined) unsafeInterrupt(fiber, inNameOf)
    else this.hosted.interrupt(fiber, inNameOf)
  }

  /** What is left to be run behind an answer. */
  private settled(evidence: Responded): Effect.Effect<void, never, R> | undefined {
    return this.exchange.isEvidence(evidence) ? this.concluded(Exit.void) : this.failed(notEvidence())
  }

  /** Every failure ends here: answered while it can be, reported unless it is the client's mistake. */
  private failed(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> | undefined {
    const { exchange } = this
    if (this.isToEnd !== undefined && Cause.isInterrupted(cause)) return this.interrupted(cause)
    const error = answeredBy(cause)
    const status = error?.status ?? 500
    const isAnswer = exchange.state === "Unanswered"
    if (isAnswer) this.say(status, errorText(status, error), errorHeaders(status))
    return isAnswer && status !== 500 ? this.concluded(Exit.failCause(cause)) : this.reported(cause)
  }

  private interrupted(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> | undefined {
    if (this.isToEnd === "ServerCloses" && this.exchange.state === "Unanswered") {
      // The client should try again elsewhere.
      this.say(503, errorText(503, undefined), { ...plainText, Connection: "close" })
    }
    if (!Cause.isInterruptedOnly(cause)) return this.reported(cause)
    const concluded = this.concluded(Exit.failCause(cause))
    const told = this.isToEnd === "ClientGone" ? this.service.reportAbort?.(cause, this.request) : undefined
    return told && concluded ? Effect.ensuring(told, concluded) : (told ?? concluded)
  }

  /** A writer of somebody else's may throw: then there is no answer, and the connection breaks. */
  private say(status: number, text: string, headers: HttpHeaders.Input): void {
    try {
      this.exchange.respond(status, text, headers)
    } catch (defect) {
      this.service.fibers.forkUninterruptible(Effect.logError("an answer could not be written", Cause.die(defect)))
    }
  }

  private reported(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> {
    const concluded = this.concluded(Exit.failCause(cause))
    const report = this.report(cause)
    // A logger may throw, and finalizers run all the same.
    return concluded === undefined ? report : Effect.ensuring(report, concluded)
  }

  /** A status other than 500 is this server's own, so what is reported is the handler's. */
  private report(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> {
    return this.service.report(cause as Cause.Cause<E>, this.request)
  }

  /** The answer stands, whatever its finalizers do. */
  private concluded(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, never, R> | undefined {
    const closing = this.scope.end(exit)
    return closing && Effect.catchAllCause(closing, (cause) => this.report(cause))
  }
}
