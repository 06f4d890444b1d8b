/**
 * The fiber of one request: runs the handler's Effect, responds to its failure, reports it, and closes the request's scope.
 *
 * Failures are handled here, by the state of the response: if it has not started, an error response is sent; if it has,
 * the connection is closed; if it is complete, it stands. Each failure reaches the log or `onFailure` once, even if the
 * client disconnects meanwhile.
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
import { AdapterEffect } from "../runtime/adapterEffect.js"
import { clientAbortFiberId, interruptAsFork } from "../runtime/effectInterop.js"
import { LazyScope, type RequestRuntime } from "../runtime/requestRuntime.js"
import type { RequestHandler } from "./context.js"
import { errorBody, errorHeaders, respondableError } from "./errorResponse.js"
import type { ExchangeImpl } from "./exchange.js"

/** A handler may only return the `Responded` of its own request. */
const notResponded = (): Cause.Cause<never> =>
  Cause.die(new Error("a handler must return the Responded of its own request"))

const notAnEffect = (): Cause.Cause<never> => Cause.die(new Error("a handler must return an Effect"))

/** Calls a handler. If it does no more than `respond`, responds at once; otherwise returns the Effect that is to be run. */
export const runSynchronously = <E, R>(
  handler: Handler<E, R>,
  request: Request,
  exchange: ExchangeImpl
): Effect.Effect<Responded, E | ValueError, R> | undefined => {
  try {
    const effect = handler(request)
    // Code without types may return nothing.
    if (!(effect instanceof RespondEffect)) return effect ?? Exit.failCause(notAnEffect())
    const result = effect.unsafeRespond()
    // The common case first.
    if (exchange.isOwnResult(result)) return undefined
    return isValueError(result) ? result : Exit.failCause(notResponded())
  } catch (defect) {
    // A handler that throws before it returns an Effect has a defect like any other.
    return Exit.die(defect)
  }
}

export class HandlerFiber<E, R> {
  private readonly scope = new LazyScope()
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** The Effect of the `@effect/platform` adapter, if there is one: it may defer an interruption. */
  private adapter: AdapterEffect | undefined
  /** Runs after the handler: the report, then the finalizers. */
  private finalizerFiber: Fiber.RuntimeFiber<void> | undefined
  /** Why the handler is interrupted: the client disconnected, or the server closes. */
  private interruptReason: "ClientGone" | "ServerCloses" | undefined

  constructor(
    private readonly requestHandler: RequestHandler<E, R>,
    private readonly request: Request,
    private readonly exchange: ExchangeImpl
  ) {}

  /**
   * Runs a handler in this event-loop turn until it suspends; calls `onDone` when it has ended, its failure was reported and
   * its finalizers have run. Report and finalizers have a fiber only if there are any, and a disconnect does not interrupt it.
   */
  run(handler: Effect.Effect<Responded, E | ValueError, R>, runtime: RequestRuntime, onDone: () => void): void {
    const { time } = runtime
    const began = time.now()
    const finish = (): void => {
      this.requestHandler.metrics.requestHandled(time.now() - began)
      onDone()
    }
    const onExit = (exit: Exit.Exit<Responded, E | ValueError>): void => {
      const rest = Exit.isSuccess(exit) ? this.onSuccess(exit.value) : this.onFailure(exit.cause)
      if (rest === undefined) {
        finish()
        return
      }
      this.finalizerFiber = runtime.forkUninterruptible(rest)
      this.finalizerFiber.addObserver(finish)
    }
    if (handler instanceof AdapterEffect) {
      this.adapter = handler
      this.started(runtime.forkAdapter(handler, this.scope)).addObserver(onExit)
    } else {
      // Its failure is a value, since Effect also logs the failure of a fiber.
      const fiber = this.started(runtime.fork(Effect.exit(handler), this.scope))
      fiber.addObserver((ended) => onExit(Exit.flatten(ended)))
    }
  }

  private started<F extends Fiber.RuntimeFiber<unknown, unknown>>(fiber: F): F {
    this.fiber = fiber
    if (this.interruptReason !== undefined) this.interrupt(this.interruptReason)
    return fiber
  }

  /** Interrupts the handler; its finalizers run. A disconnect does not interrupt a report, but a server that closes does. */
  interrupt(reason: "ClientGone" | "ServerCloses"): void {
    this.interruptReason ??= reason
    this.exchange.isClientGone = this.interruptReason === "ClientGone"
    if (this.fiber !== undefined)
      this.interruptFiber(this.fiber, reason === "ClientGone" ? clientAbortFiberId : undefined)
    if (reason === "ServerCloses" && this.finalizerFiber !== undefined) interruptAsFork(this.finalizerFiber)
  }

  private interruptFiber(fiber: Fiber.RuntimeFiber<unknown, unknown>, as: FiberId.FiberId | undefined): void {
    if (this.adapter === undefined) interruptAsFork(fiber, as)
    else this.adapter.interrupt(fiber, as)
  }

  /** The finalizers to be run after a response. */
  private onSuccess(result: Responded): Effect.Effect<void, never, R> | undefined {
    return this.exchange.isOwnResult(result) ? this.closeScope(Exit.void) : this.onFailure(notResponded())
  }

  /** Sends an error response if none has started; reports the failure unless it is the client's error. */
  private onFailure(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> | undefined {
    const { exchange } = this
    if (this.interruptReason !== undefined && Cause.isInterrupted(cause)) return this.onInterrupt(cause)
    const error = respondableError(cause)
    const status = error?.status ?? 500
    const canRespond = exchange.state === "NotStarted"
    if (canRespond) this.respondWithError(status, errorBody(status, error), errorHeaders(status))
    return canRespond && status !== 500 ? this.closeScope(Exit.failCause(cause)) : this.reportAndClose(cause)
  }

  private onInterrupt(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> | undefined {
    if (this.interruptReason === "ServerCloses" && this.exchange.state === "NotStarted") {
      // The client may retry on another connection.
      this.respondWithError(503, errorBody(503, undefined), { ...errorHeaders(503), Connection: "close" })
    }
    if (!Cause.isInterruptedOnly(cause)) return this.reportAndClose(cause)
    const closing = this.closeScope(Exit.failCause(cause))
    const abortReport =
      this.interruptReason === "ClientGone" ? this.requestHandler.reportAbort?.(cause, this.request) : undefined
    return abortReport && closing ? Effect.ensuring(abortReport, closing) : (abortReport ?? closing)
  }

  /** The `ResponseWriter` of an application may throw: then there is no response, and the connection is closed. */
  private respondWithError(status: number, text: string, headers: HttpHeaders.Input): void {
    try {
      this.exchange.respond(status, text, headers)
    } catch (defect) {
      this.requestHandler.runtime.forkUninterruptible(
        Effect.logError("failed to write an error response", Cause.die(defect))
      )
    }
  }

  private reportAndClose(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> {
    const closing = this.closeScope(Exit.failCause(cause))
    const report = this.report(cause)
    // Finalizers run even if a logger throws.
    return closing === undefined ? report : Effect.ensuring(report, closing)
  }

  /** A `ValueError` of this package has a status other than 500, so a reported failure is the handler's own. */
  private report(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> {
    return this.requestHandler.report(cause as Cause.Cause<E>, this.request)
  }

  /** Closes the request's scope. The response stands, even if a finalizer fails. */
  private closeScope(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, never, R> | undefined {
    const closing = this.scope.closeUnlessEjected(exit)
    return closing && Effect.catchAllCause(closing, (cause) => this.report(cause))
  }
}
