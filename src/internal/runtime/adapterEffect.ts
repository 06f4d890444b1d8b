/**
 * Effect returned by handlers of the `@effect/platform` adapter.
 *
 * The connection runs its program as the whole program of the request fiber: the fiber starts uninterruptible, and the
 * services are added to the map of the request's context, which avoids the fiber steps of `provide` and `uninterruptible`.
 * Wrapped in anything, it is an ordinary Effect.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashSet from "effect/HashSet"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Option from "effect/Option"
import * as Supervisor from "effect/Supervisor"
import type { ValueError } from "../../Errors.js"
import type { Responded } from "../../Response.js"
import { interruptAsFork } from "./effectInterop.js"

type Running = Fiber.RuntimeFiber<unknown, unknown>

/** Key of the service that holds the adapter effect in the context of its fibers. */
export const adapterKey = "effect-asynchttpserver/AppRequest"

export abstract class AdapterEffect extends Effectable.Class<Responded, ValueError> {
  /** The program of the fiber. It requires the added services, handles its own errors and closes the scope in its context. */
  abstract readonly program: Effect.Effect<Responded, ValueError>

  /** Adds the services that the program requires to those of the fiber, which include the scope of the request. */
  abstract addServices(services: Map<string, unknown>, fiberRefs: FiberRefs.FiberRefs): void

  /** Called for the fiber that runs the program, and for each fiber forked in it, before its first step. */
  abstract fiberStarted(fiber: Running, services: ReadonlyMap<string, unknown>): void

  /** Called when one of those fibers is suspended. */
  abstract fiberSuspended(fiber: Running): void

  /** Called for each log entry of those fibers. */
  abstract logged(cause: Cause.Cause<unknown>, message: unknown): void

  interrupt(fiber: Running, by: FiberId.FiberId | undefined): void {
    interruptAsFork(fiber, by)
  }

  commit(): Effect.Effect<Responded, ValueError> {
    const provided = Effect.withFiberRuntime<Responded, ValueError>((fiber) => {
      const services = new Map(fiber.currentContext.unsafeMap)
      this.addServices(services, fiber.getFiberRefs())
      this.fiberStarted(fiber, services)
      return Effect.provide(this.program, Context.unsafeMake<never>(services))
    })
    return provided.pipe(
      Effect.supervised(supervisor),
      Effect.locallyWith(FiberRef.currentLoggers, HashSet.add<Logger.Logger<unknown, unknown>>(observer)),
      Effect.uninterruptible
    )
  }
}

const adapterEffectIn = (services: ReadonlyMap<string, unknown>): AdapterEffect | undefined => {
  const effect = services.get(adapterKey)
  return effect instanceof AdapterEffect ? effect : undefined
}

/** Notifies each adapter effect of the fibers that run it. */
class AdapterSupervisor extends Supervisor.AbstractSupervisor<void> {
  override readonly value = Effect.void

  override onStart<A, E, R>(
    { unsafeMap }: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    _parent: Option.Option<Running>,
    fiber: Fiber.RuntimeFiber<A, E>
  ): void {
    adapterEffectIn(unsafeMap)?.fiberStarted(fiber, unsafeMap)
  }

  override onSuspend<A, E>(fiber: Fiber.RuntimeFiber<A, E>): void {
    adapterEffectIn(fiber.currentContext.unsafeMap)?.fiberSuspended(fiber)
  }
}

const supervisor = new AdapterSupervisor()

/**
 * Logger without output: it notifies each adapter effect of the log entries of its fibers, so that no failure is logged twice.
 * Entries below Info are ignored: Effect logs the end of every fiber at Debug.
 */
const observer = Logger.make<unknown, void>(({ cause, context, logLevel, message }) => {
  if (LogLevel.lessThan(logLevel, LogLevel.Info)) return
  adapterEffectIn(FiberRefs.getOrDefault(context, FiberRef.currentContext).unsafeMap)?.logged(cause, message)
})

/** FiberRefs with another value of one. */
export const withRef = <A>(refs: FiberRefs.FiberRefs, fiberRef: FiberRef.FiberRef<A>, value: A): FiberRefs.FiberRefs =>
  FiberRefs.updateAs(refs, { fiberId: FiberId.none, fiberRef, value })

/** FiberRefs with the supervisor and the logger above, for the fibers of adapter effects. */
export const withAdapterRefs = (refs: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  const outer = FiberRefs.getOrDefault(refs, FiberRef.currentSupervisor)
  const loggers = FiberRefs.getOrDefault(refs, FiberRef.currentLoggers)
  const supervised = outer === Supervisor.none ? supervisor : outer.zip(supervisor)
  return withRef(
    withRef(refs, FiberRef.currentSupervisor, supervised),
    FiberRef.currentLoggers,
    HashSet.add(loggers, observer)
  )
}

const loggedCauses = new WeakSet<Cause.Cause<unknown>>()

/** Marks the cause of a failure as logged, so that the server does not report it again. */
export const markLogged = (cause: Cause.Cause<unknown>): void => {
  loggedCauses.add(cause)
}

export const isLogged = (cause: Cause.Cause<unknown>): boolean => loggedCauses.has(cause)
