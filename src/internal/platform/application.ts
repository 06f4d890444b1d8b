/**
 * An application of `@effect/platform` as a handler: what `HttpApp.toHandled` does, in the same order and in
 * fewer steps.
 *
 * The application; its pre-response handlers; the response, written; whatever failed, answered by `causeResponse`; the
 * middleware around all that; the span around the middleware; and the request's scope, closed. Nothing of it is made
 * for a request: what differs between requests is found in the fiber that each has for itself.
 *
 * @internal
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

/** The request as it is seen where it is asked for: a router that is mounted sees less of its URL. */
const requestOf = (fiber: RunningFiber): HttpServerRequest.HttpServerRequest =>
  Context.unsafeGet(fiber.currentContext, HttpServerRequest.HttpServerRequest)

/** A middleware may run the application in a context of its own making, where there is no more than the request. */
const appRequestOf = (fiber: RunningFiber): AppRequest =>
  (fiber.currentContext.unsafeMap.get(AppRequest.Tag.key) as AppRequest | undefined) ??
  (requestOf(fiber) as ServerRequest).call

/**
 * The scopes that `HttpApp.ejectDefaultScopeClose` leaves to whoever called it. The set is not exported; it is found by its
 * global name.
 */
const ejected = globalValue("@effect/platform/HttpApp/ejectedScopes", () => new WeakSet<Scope.Scope>())

/** The fiber that runs a continuation: asked for by an Effect, it would cost two objects and a step each time. */
const currentFiber = (): RunningFiber => Option.getOrThrow(Fiber.getCurrentFiber())

const written = (call: AppRequest, response: HttpServerResponse): Effect.Effect<HttpServerResponse> => {
  const rest = write(call, response)
  return rest === undefined ? Exit.succeed(response) : Effect.as(rest, response)
}

/** Writes a response, as the pre-response handlers leave it. */
const respond = (response: HttpServerResponse): Effect.Effect<HttpServerResponse, HttpServerError.ResponseError> => {
  const fiber = currentFiber()
  const call = appRequestOf(fiber)
  call.release()
  const handler = fiber.getFiberRef(HttpApp.currentPreResponseHandlers)
  if (handler._tag === "None") return written(call, response)
  return Effect.matchCauseEffect(handler.value(requestOf(fiber), response), {
    onFailure: (cause) => {
      discard(response.body)
      return Effect.failCause(cause)
    },
    onSuccess: (prepared) => {
      if (prepared.body === response.body) return written(call, prepared)
      // Not before: a body that was compressed is read from the one that it replaces.
      return Effect.ensuring(
        Effect.suspend(() => written(call, prepared)),
        Effect.sync(() => discardReplaced(response.body, prepared.body))
      )
    }
  })
}

/**
 * Answers a failure by what the errors in it say, and goes on failing with what is left of it. If nothing is, it goes on
 * with their response: what its pre-response handlers make of that is sent, and told to nobody.
 */
const respondToFailure = <E>(
  cause: Cause.Cause<E>
): Effect.Effect<HttpServerResponse, E | HttpServerError.ResponseError> => {
  // What a middleware logs of it is no longer what a client has made it.
  return Effect.flatMap(HttpServerError.causeResponse(escapeCauseControls(cause)), ([response, left]) =>
    Effect.zipRight(respond(response), Cause.isEmptyType(left) ? Exit.succeed(response) : Exit.failCause(left))
  )
}

/**
 * What is written if nothing was: the response of a middleware that has taken another way, or of a failure that no
 * pre-response handler lets pass.
 */
const fallbackResponse = (
  call: AppRequest,
  exit: Exit.Exit<HttpServerResponse, unknown>
): Effect.Effect<unknown, never> | undefined => {
  if (call.isResponseSettled) {
    // Mostly what was written; what a middleware has put in its place is sent to nobody.
    if (Exit.isSuccess(exit)) discard(exit.value.body)
    return undefined
  }
  if (Exit.isSuccess(exit)) return write(call, exit.value)
  const answered = Effect.flatMap(
    HttpServerError.causeResponse(exit.cause),
    ([response]) => write(call, response) ?? Effect.void
  )
  return Effect.catchAllCause(answered, () => write(call, empty({ status: 500 })) ?? Effect.void)
}

/** Closes the request's scope, unless somebody has taken that over. */
const closeScope = (fiber: RunningFiber, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined => {
  const scope = Context.unsafeGet(fiber.currentContext, Scope.Scope)
  // A middleware that has put another one in its place ends that by itself.
  if (!isRequestScope(scope)) return undefined
  if (ejected.has(scope)) scope.eject()
  return scope.closeUnlessEjected(exit)
}

/** How the request ended, for its connection; what of its failure is left to the server is logged. */
const outcomeOf = (call: AppRequest, exit: Exit.Exit<unknown, unknown>): Effect.Effect<Responded, ValueError> => {
  const { evidence, upgraded } = call
  const responded = upgraded ?? (evidence && Exit.succeed(evidence))
  // Without a response there is no client any more, or a server that closes has broken the response off.
  if (Exit.isSuccess(exit)) return responded ?? Effect.interrupt
  if (responded !== undefined) return Effect.zipRight(logFailure(call, exit.cause), responded)
  if (call.exchange.isClientGone || Cause.isInterrupted(exit.cause)) {
    return Effect.zipRight(logFailure(call, exit.cause), Effect.interrupt)
  }
  // It broke off by itself, and so does the connection, which reports it: it is no typed error of the handler any more.
  return Effect.failCause(failedResponseCause(call, exit.cause) as Cause.Cause<never>)
}

export interface ApplicationOptions {
  readonly middleware: HttpMiddleware | undefined
  /** Whether a client that leaves interrupts the application, and not only the routes of a router. */
  readonly isInterruptible: boolean
}

type Ended = Exit.Exit<HttpServerResponse, unknown>

/** Behind the answer: the end of its span and of its scope, and how it ended for the connection. */
const finish = (exit: Ended, scopeExit: Exit.Exit<unknown, unknown>): Effect.Effect<Responded, ValueError> => {
  const fiber = currentFiber()
  const call = appRequestOf(fiber)
  const { fiberRefs, span } = call
  if (span !== undefined && fiberRefs !== undefined) endSpan(span, exit, fiberRefs)
  const written = fallbackResponse(call, exit)
  const closed = written === undefined ? closeScope(fiber, scopeExit) : undefined
  if (written === undefined && closed === undefined) return outcomeOf(call, exit)
  const behind = closed ?? Effect.suspend(() => closeScope(fiber, scopeExit) ?? Effect.void)
  const evidence = Effect.suspend(() => outcomeOf(call, exit))
  return Effect.zipRight(Effect.zipRight(written ?? Effect.void, behind), evidence)
}

/** Without a middleware the exit is the application's, and each step is taken in the turn of the one before. */
const finishing = {
  onFailure: (cause: Cause.Cause<unknown>) => finish(Exit.failCause(cause), Exit.failCause(cause)),
  onSuccess: (response: HttpServerResponse) => {
    const exit = Exit.succeed(response)
    return finish(exit, exit)
  }
}

/** A middleware has taken every failure upon itself: to the scope the request has ended well. */
const finishingAround = {
  onFailure: (cause: Cause.Cause<unknown>) => finish(Exit.failCause(cause), Exit.void),
  onSuccess: (response: HttpServerResponse) => finish(Exit.succeed(response), Exit.void)
}

const isSuccess = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Success<A, E> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

/** A body that is none throws where it is looked at, and the response is the application's to answer for. */
const tryRespond = (response: HttpServerResponse): ReturnType<typeof respond> => {
  try {
    return respond(response)
  } catch (defect) {
    return Exit.die(defect)
  }
}

const respondSynchronously = (response: HttpServerResponse): Effect.Effect<Responded, ValueError> => {
  const answering = tryRespond(response)
  return isSuccess(answering)
    ? finish(answering, answering)
    : Effect.matchCauseEffect(Effect.catchAllCause(answering, respondToFailure), finishing)
}

/** What the fiber of every request runs. What it needs besides the request's own services is the server's context. */
export const makeProgram = <E, R>(
  app: HttpApp.Default<E, R>,
  { isInterruptible, middleware }: ApplicationOptions
): Effect.Effect<Responded, ValueError> => {
  const asked = isInterruptible ? Effect.interruptible(app) : app
  const work =
    middleware === undefined
      ? Effect.matchCauseEffect(asked, {
          onFailure: (cause) => Effect.matchCauseEffect(respondToFailure(cause), finishing),
          onSuccess: respondSynchronously
        })
      : Effect.matchCauseEffect(
          middleware(Effect.catchAllCause(Effect.flatMap(asked, respond), respondToFailure)),
          finishingAround
        )
  // What it needs is put into its context, by `Call` and by who serves it.
  return work as Effect.Effect<Responded, ValueError>
}
