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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import type * as FiberRefs from "effect/FiberRefs"
import type { ValueError } from "../Errors.js"
import type { Responded } from "../Response.js"
import { unsafeInterrupt } from "./runtime.js"

export abstract class Hosted extends Effectable.Class<Responded, ValueError> {
  /** What is run: it needs what has been added, and settles its own errors and the scope it finds. */
  abstract readonly work: Effect.Effect<Responded, ValueError>

  /** Adds what the work needs to the services of the fiber, whose request's scope is among them. */
  abstract addServices(services: Map<string, unknown>, fiberRefs: FiberRefs.FiberRefs): void

  /** Asks the fiber that runs it to end. */
  interrupt(fiber: Fiber.RuntimeFiber<unknown, unknown>, inNameOf: FiberId.FiberId | undefined): void {
    unsafeInterrupt(fiber, inNameOf)
  }

  commit(): Effect.Effect<Responded, ValueError> {
    const provided = Effect.withFiberRuntime<Responded, ValueError>((fiber) => {
      const services = new Map(fiber.currentContext.unsafeMap)
      this.addServices(services, fiber.getFiberRefs())
      return Effect.provide(this.work, Context.unsafeMake<never>(services))
    })
    return Effect.uninterruptible(provided)
  }
}
