/**
 * A handler of another world, which brings what its fiber is to have.
 *
 * Such a handler returns one of these, and the connection runs its work as the whole of the request's fiber: born
 * uninterruptible, with its services put into the map that the request's context is made from anyway, where
 * `provide` and `uninterruptible` around it would be steps of the fiber. Wrapped by anybody in anything, it is an ordinary
 * Effect.
 *
 * @internal
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

/** The name of the service under which the fibers of a request find it. */
export const hostedKey = "effect-asynchttpserver/Call"

export abstract class AdapterEffect extends Effectable.Class<Responded, ValueError> {
  /** What is run: it needs what has been added, and settles its own errors and the scope it finds. */
  abstract readonly program: Effect.Effect<Responded, ValueError>

  /** Adds what the work needs to the services of the fiber, whose request's scope is among them. */
  abstract addServices(services: Map<string, unknown>, fiberRefs: FiberRefs.FiberRefs): void

  /** Called for the fiber that runs the work, and for each that is forked in it, before its first step. */
  abstract fiberStarted(fiber: Running, services: ReadonlyMap<string, unknown>): void

  /** Called when one of those fibers waits for something. */
  abstract fiberSuspended(fiber: Running): void

  /** Called for what is logged in one of them. */
  abstract logged(cause: Cause.Cause<unknown>, message: unknown): void

  /** Asks the fiber that runs it to end. */
  interrupt(fiber: Running, inNameOf: FiberId.FiberId | undefined): void {
    interruptAsFork(fiber, inNameOf)
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

const hostedIn = (services: ReadonlyMap<string, unknown>): AdapterEffect | undefined => {
  const hosted = services.get(hostedKey)
  return hosted instanceof AdapterEffect ? hosted : undefined
}

/** Tells each hosted request of the fibers that run it. */
class HostedSupervisor extends Supervisor.AbstractSupervisor<void> {
  override readonly value = Effect.void

  override onStart<A, E, R>(
    { unsafeMap }: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    _parent: Option.Option<Running>,
    fiber: Fiber.RuntimeFiber<A, E>
  ): void {
    hostedIn(unsafeMap)?.fiberStarted(fiber, unsafeMap)
  }

  override onSuspend<A, E>(fiber: Fiber.RuntimeFiber<A, E>): void {
    hostedIn(fiber.currentContext.unsafeMap)?.fiberSuspended(fiber)
  }
}

const supervisor = new HostedSupervisor()

/**
 * Writes nothing: it tells each hosted request what is logged in its fibers, so that no failure is logged twice. Lines below
 * Info are for those that look for something: Effect logs the end of any fiber there.
 */
const observer = Logger.make<unknown, void>(({ cause, context, logLevel, message }) => {
  if (LogLevel.lessThan(logLevel, LogLevel.Info)) return
  hostedIn(FiberRefs.getOrDefault(context, FiberRef.currentContext).unsafeMap)?.logged(cause, message)
})

/** FiberRefs for the fibers of hosted requests. */
export const hostedRefs = (refs: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  const fiberId = FiberId.none
  const outer = FiberRefs.getOrDefault(refs, FiberRef.currentSupervisor)
  const loggers = FiberRefs.getOrDefault(refs, FiberRef.currentLoggers)
  return refs.pipe(
    FiberRefs.updateAs({
      fiberId,
      fiberRef: FiberRef.currentSupervisor,
      value: outer === Supervisor.none ? supervisor : outer.zip(supervisor)
    }),
    FiberRefs.updateAs({ fiberId, fiberRef: FiberRef.currentLoggers, value: HashSet.add(loggers, observer) })
  )
}

const loggedCauses = new WeakSet<Cause.Cause<unknown>>()

/** Has the cause of a hosted request's failure passed over by what reports it: it has been logged. */
export const markLogged = (cause: Cause.Cause<unknown>): void => {
  loggedCauses.add(cause)
}

export const isLogged = (cause: Cause.Cause<unknown>): boolean => loggedCauses.has(cause)
