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
import { isValueError, type ValueError } from "../../Errors.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { Request } from "../../Request.js"
import type { Handler, Responded } from "../../Response.js"
import { RespondEffect } from "../message/respondEffect.js"
import { recordMetrics } from "../metrics.js"
import { AdapterEffect } from "../runtime/adapterEffect.js"
import { clientAbortFiberId, interruptAsFork } from "../runtime/effectInterop.js"
import { LazyScope, type RequestRuntime } from "../runtime/requestRuntime.js"
import type { RequestHandler } from "./context.js"
import { errorBody, errorHeaders, plainTextHeaders, respondableError } from "./errorResponse.js"
import type { ExchangeImpl } from "./exchange.js"

/** A handler may only return the evidence that its own request was answered. */
const notResponded = (): Cause.Cause<never> =>
  Cause.die(new Error("a handler must return the evidence that its own request was answered"))

const notAnEffect = (): Cause.Cause<never> => Cause.die(new Error("a handler must return an Effect"))

/** What of a handler is left to be run: nothing, if it does no more than `respond`, which is done now. */
export const runSynchronously = <E, R>(
  handler: Handler<E, R>,
  request: Request,
  exchange: ExchangeImpl
): Effect.Effect<Responded, E | ValueError, R> | undefined => {
  try {
    const answer = handler(request)
    // Types forbid to return nothing, but code without types does, and would find its client gone without a word.
    if (!(answer instanceof RespondEffect)) return answer ?? Exit.failCause(notAnEffect())
    const evidence = answer.unsafeRespond()
    // First what nearly every handler gives.
    if (exchange.isEvidence(evidence)) return undefined
    return isValueError(evidence) ? evidence : Exit.failCause(notResponded())
  } catch (defect) {
    // A handler may throw before it has made an Effect: that is a defect like any other.
    return Exit.die(defect)
  }
}

export class HandlerFiber<E, R> {
  private readonly scope = new LazyScope()
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** What the fiber runs, if it is of another world, which may have a say in when it ends. */
  private adapter: AdapterEffect | undefined
  /** What runs behind the handler: the report, and then its finalizers. */
  private finalizerFiber: Fiber.RuntimeFiber<void> | undefined
  /** It is to end: because its client has gone, or so that the server may. */
  private interruptReason: "ClientGone" | "ServerCloses" | undefined

  constructor(
    private readonly service: RequestHandler<E, R>,
    private readonly request: Request,
    private readonly exchange: ExchangeImpl
  ) {}

  /**
   * Runs a handler in this very turn, as far as it goes without waiting; `whenOver` is told when its fibers have ended, its
   * finalizers have run and what there was to report has been. What comes behind the handler needs a fiber only if there
   * is something to be run, and has one that no client interrupts.
   */
  run(handler: Effect.Effect<Responded, E | ValueError, R>, fibers: RequestRuntime, whenOver: () => void): void {
    const { time } = fibers
    const began = time.now()
    const onOver = (): void => {
      recordMetrics.requestHandled(time.now() - began)
      whenOver()
    }
    const onExit = (exit: Exit.Exit<Responded, E | ValueError>): void => {
      const rest = Exit.isSuccess(exit) ? this.onSuccess(exit.value) : this.onFailure(exit.cause)
      if (rest === undefined) {
        onOver()
        return
      }
      this.finalizerFiber = fibers.forkUninterruptible(rest)
      this.finalizerFiber.addObserver(onOver)
    }
    if (handler instanceof AdapterEffect) {
      this.adapter = handler
      this.started(fibers.forkAdapter(handler, this.scope)).addObserver(onExit)
    } else {
      // Its failure is a value: one that ends a fiber is logged by Effect besides.
      const fiber = this.started(fibers.fork(Effect.exit(handler), this.scope))
      fiber.addObserver((ended) => onExit(Exit.flatten(ended)))
    }
  }

  private started<F extends Fiber.RuntimeFiber<unknown, unknown>>(fiber: F): F {
    this.fiber = fiber
    if (this.interruptReason !== undefined) this.interrupt(this.interruptReason)
    return fiber
  }

  /** Ends the handler; its finalizers run. A client takes no report with it, but a server that closes waits for none. */
  interrupt(why: "ClientGone" | "ServerCloses"): void {
    this.interruptReason ??= why
    this.exchange.isClientGone = this.interruptReason === "ClientGone"
    if (this.fiber !== undefined) this.end(this.fiber, why === "ClientGone" ? clientAbortFiberId : undefined)
    if (why === "ServerCloses" && this.finalizerFiber !== undefined) interruptAsFork(this.finalizerFiber)
  }

  private end(fiber: Fiber.RuntimeFiber<unknown, unknown>, inNameOf: FiberId.FiberId | undefined): void {
    if (this.adapter === undefined) interruptAsFork(fiber, inNameOf)
    else this.adapter.interrupt(fiber, inNameOf)
  }

  /** What is left to be run behind an answer. */
  private onSuccess(evidence: Responded): Effect.Effect<void, never, R> | undefined {
    return this.exchange.isEvidence(evidence) ? this.closeScope(Exit.void) : this.onFailure(notResponded())
  }

  /** Every failure ends here: answered while it can be, reported unless it is the client's mistake. */
  private onFailure(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> | undefined {
    const { exchange } = this
    if (this.interruptReason !== undefined && Cause.isInterrupted(cause)) return this.onInterrupt(cause)
    const error = respondableError(cause)
    const status = error?.status ?? 500
    const isAnswer = exchange.state === "NotStarted"
    if (isAnswer) this.respondWithError(status, errorBody(status, error), errorHeaders(status))
    return isAnswer && status !== 500 ? this.closeScope(Exit.failCause(cause)) : this.reportAndClose(cause)
  }

  private onInterrupt(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> | undefined {
    if (this.interruptReason === "ServerCloses" && this.exchange.state === "NotStarted") {
      // The client should try again elsewhere.
      this.respondWithError(503, errorBody(503, undefined), { ...plainTextHeaders, Connection: "close" })
    }
    if (!Cause.isInterruptedOnly(cause)) return this.reportAndClose(cause)
    const concluded = this.closeScope(Exit.failCause(cause))
    const told = this.interruptReason === "ClientGone" ? this.service.reportAbort?.(cause, this.request) : undefined
    return told && concluded ? Effect.ensuring(told, concluded) : (told ?? concluded)
  }

  /** A writer of somebody else's may throw: then there is no answer, and the connection breaks. */
  private respondWithError(status: number, text: string, headers: HttpHeaders.Input): void {
    try {
      this.exchange.respond(status, text, headers)
    } catch (defect) {
      this.service.runtime.forkUninterruptible(Effect.logError("an answer could not be written", Cause.die(defect)))
    }
  }

  private reportAndClose(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> {
    const concluded = this.closeScope(Exit.failCause(cause))
    const report = this.report(cause)
    // A logger may throw, and finalizers run all the same.
    return concluded === undefined ? report : Effect.ensuring(report, concluded)
  }

  /** A status other than 500 is this server's own, so what is reported is the handler's. */
  private report(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> {
    return this.service.report(cause as Cause.Cause<E>, this.request)
  }

  /** The answer stands, whatever its finalizers do. */
  private closeScope(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, never, R> | undefined {
    const closing = this.scope.closeUnlessEjected(exit)
    return closing && Effect.catchAllCause(closing, (cause) => this.report(cause))
  }
}
