/**
 * Adapter of an application of `@effect/platform` to a handler: equivalent to `HttpApp.toHandled`, with fewer fiber steps.
 *
 * In order: the application, its pre-response handlers, writing the response, error responses by `causeResponse`, the
 * middleware around all that, the span around the middleware, and closing the scope of the request. The program is created
 * once per application: all state of a request is found through its fiber.
 */
import * as HttpApp from "@effect/platform/HttpApp"
import type { HttpMiddleware } from "@effect/platform/HttpMiddleware"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { empty, type HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { ValueError } from "../../Errors.js"
import type { Responded } from "../../Response.js"
import { isRequestScope } from "../runtime/requestRuntime.js"
import { escapeCauseControls } from "../server/failureReport.js"
import { AppRequest } from "./appRequest.js"
import { failedResponseCause, logFailure } from "./failureLog.js"
import { write } from "./response.js"
import { discard, discardReplaced } from "./responseBody.js"
import type { ServerRequest } from "./serverRequest.js"
import { endSpan } from "./span.js"

type RunningFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The request in the context of a fiber: a mounted router has one with a shorter URL. */
const requestOf = (fiber: RunningFiber): HttpServerRequest.HttpServerRequest =>
  Context.unsafeGet(fiber.currentContext, HttpServerRequest.HttpServerRequest)

/** A middleware may run the application in its own context, which contains only the request. */
const appRequestOf = (fiber: RunningFiber): AppRequest =>
  (fiber.currentContext.unsafeMap.get(AppRequest.Tag.key) as AppRequest | undefined) ??
  (requestOf(fiber) as ServerRequest).appRequest

/**
 * The scopes that `HttpApp.ejectDefaultScopeClose` leaves to its caller. The set is not exported; it is found by its global
 * name.
 */
const ejected = globalValue("@effect/platform/HttpApp/ejectedScopes", () => new WeakSet<Scope.Scope>())

/** The fiber that runs a continuation; an Effect for it would cost two objects and a step each time. */
const currentFiber = (): RunningFiber => Option.getOrThrow(Fiber.getCurrentFiber())

const written = (appRequest: AppRequest, response: HttpServerResponse): Effect.Effect<HttpServerResponse> => {
  const rest = write(appRequest, response)
  return rest === undefined ? Exit.succeed(response) : Effect.as(rest, response)
}

/** Runs the pre-response handlers, and writes the response. */
const respond = (response: HttpServerResponse): Effect.Effect<HttpServerResponse, HttpServerError.ResponseError> => {
  const fiber = currentFiber()
  const appRequest = appRequestOf(fiber)
  appRequest.release()
  const handler = fiber.getFiberRef(HttpApp.currentPreResponseHandlers)
  if (handler._tag === "None") return written(appRequest, response)
  return Effect.matchCauseEffect(handler.value(requestOf(fiber), response), {
    onFailure: (cause) => {
      discard(response.body)
      return Effect.failCause(cause)
    },
    onSuccess: (prepared) => {
      if (prepared.body === response.body) return written(appRequest, prepared)
      // Not earlier: a compressed body reads from the one that it replaces.
      return Effect.ensuring(
        Effect.suspend(() => written(appRequest, prepared)),
        Effect.sync(() => discardReplaced(response.body, prepared.body))
      )
    }
  })
}

/**
 * Sends the response of the errors in a cause, and fails with the rest of the cause. If there is none, it succeeds with the
 * response before its pre-response handlers.
 */
const respondToFailure = <E>(
  cause: Cause.Cause<E>
): Effect.Effect<HttpServerResponse, E | HttpServerError.ResponseError> => {
  return Effect.flatMap(HttpServerError.causeResponse(cause), ([response, left]) =>
    Effect.zipRight(
      respond(response),
      // A middleware may log the cause, which may quote the client.
      Cause.isEmptyType(left) ? Exit.succeed(response) : Exit.failCause(escapeCauseControls(left))
    )
  )
}

/**
 * Writes a response if none was: that of a middleware that did not run the application, or that of a failure in the
 * pre-response handlers.
 */
const fallbackResponse = (
  appRequest: AppRequest,
  exit: Exit.Exit<HttpServerResponse, unknown>
): Effect.Effect<unknown, never> | undefined => {
  if (appRequest.isResponseSettled) {
    // Usually the response that was written. Another one, of a middleware, is discarded.
    if (Exit.isSuccess(exit)) discard(exit.value.body)
    return undefined
  }
  if (Exit.isSuccess(exit)) return write(appRequest, exit.value)
  const errorResponse = Effect.flatMap(
    HttpServerError.causeResponse(exit.cause),
    ([response]) => write(appRequest, response) ?? Effect.void
  )
  return Effect.catchAllCause(errorResponse, () => write(appRequest, empty({ status: 500 })) ?? Effect.void)
}

/** Closes the scope of the request, unless it was ejected. */
const closeScope = (fiber: RunningFiber, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined => {
  const scope = Context.unsafeGet(fiber.currentContext, Scope.Scope)
  // A middleware that has replaced the scope closes its own.
  if (!isRequestScope(scope)) return undefined
  if (ejected.has(scope)) scope.eject()
  return scope.closeUnlessEjected(exit)
}

/** The result of the request for its connection. A failure after the response is logged. */
const outcomeOf = (appRequest: AppRequest, exit: Exit.Exit<unknown, unknown>): Effect.Effect<Responded, ValueError> => {
  const { evidence, upgraded } = appRequest
  const responded = upgraded ?? (evidence && Exit.succeed(evidence))
  // Without a response the client has disconnected, or the shutdown has interrupted the response.
  if (Exit.isSuccess(exit)) return responded ?? Effect.interrupt
  if (responded !== undefined) return Effect.zipRight(logFailure(appRequest, exit.cause), responded)
  if (appRequest.exchange.isClientGone || Cause.isInterrupted(exit.cause)) {
    return Effect.zipRight(logFailure(appRequest, exit.cause), Effect.interrupt)
  }
  // The response failed midway: the connection is reset and reports the cause. It is no typed error of the handler.
  return Effect.failCause(failedResponseCause(appRequest, exit.cause) as Cause.Cause<never>)
}

interface ApplicationOptions {
  readonly middleware: HttpMiddleware | undefined
  /** Whether a disconnect of the client interrupts the whole application, and not only the routes of a router. */
  readonly isInterruptible: boolean
}

type Ended = Exit.Exit<HttpServerResponse, unknown>

/** Runs after the response: ends the span, closes the scope, and gives the result for the connection. */
const finish = (exit: Ended, scopeExit: Exit.Exit<unknown, unknown>): Effect.Effect<Responded, ValueError> => {
  const fiber = currentFiber()
  const appRequest = appRequestOf(fiber)
  const { fiberRefs, span } = appRequest
  if (span !== undefined && fiberRefs !== undefined) endSpan(span, exit, fiberRefs)
  const written = fallbackResponse(appRequest, exit)
  const closed = written === undefined ? closeScope(fiber, scopeExit) : undefined
  if (written === undefined && closed === undefined) return outcomeOf(appRequest, exit)
  const closing = closed ?? Effect.suspend(() => closeScope(fiber, scopeExit) ?? Effect.void)
  const evidence = Effect.suspend(() => outcomeOf(appRequest, exit))
  return Effect.zipRight(Effect.zipRight(written ?? Effect.void, closing), evidence)
}

/** Continuations without a middleware: the exit is that of the application. */
const finishing = {
  onFailure: (cause: Cause.Cause<unknown>) => finish(Exit.failCause(cause), Exit.failCause(cause)),
  onSuccess: (response: HttpServerResponse) => {
    const exit = Exit.succeed(response)
    return finish(exit, exit)
  }
}

/** Continuations with a middleware, which handles every failure: the scope is closed with a success. */
const finishingAround = {
  onFailure: (cause: Cause.Cause<unknown>) => finish(Exit.failCause(cause), Exit.void),
  onSuccess: (response: HttpServerResponse) => finish(Exit.succeed(response), Exit.void)
}

const isSuccess = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Success<A, E> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

/** An invalid body throws when it is read: that is a defect of the application. */
const tryRespond = (response: HttpServerResponse): ReturnType<typeof respond> => {
  try {
    return respond(response)
  } catch (defect) {
    return Exit.die(defect)
  }
}

const respondSynchronously = (response: HttpServerResponse): Effect.Effect<Responded, ValueError> => {
  const result = tryRespond(response)
  return isSuccess(result)
    ? finish(result, result)
    : Effect.matchCauseEffect(Effect.catchAllCause(result, respondToFailure), finishing)
}

/** Creates the program that every request fiber runs, in the context of the server and the services of the request. */
export const makeProgram = <E, R>(
  app: HttpApp.Default<E, R>,
  { isInterruptible, middleware }: ApplicationOptions
): Effect.Effect<Responded, ValueError> => {
  const application = isInterruptible ? Effect.interruptible(app) : app
  const program =
    middleware === undefined
      ? Effect.matchCauseEffect(application, {
          onFailure: (cause) => Effect.matchCauseEffect(respondToFailure(cause), finishing),
          onSuccess: respondSynchronously
        })
      : Effect.matchCauseEffect(
          middleware(Effect.catchAllCause(Effect.flatMap(application, respond), respondToFailure)),
          finishingAround
        )
  // Its environment is provided by `AppRequest` and by the context of the server.
  return program as Effect.Effect<Responded, ValueError>
}
