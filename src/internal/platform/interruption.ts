/**
 * Where an interruption reaches an application, and where it is held back.
 *
 * `@effect/platform` runs an application uninterruptibly, except in the routes of a router. Here any application is
 * interruptible, so that a client that leaves can end it, and three rules keep what is uninterruptible there as it is:
 *
 * - A route that is declared uninterruptible runs to its end, whatever interrupts the fiber that runs it.
 * - Outside of interruptible routes an interruption of the request's own fiber, by anything but this server, takes effect
 *   when the application has ended.
 * - Otherwise a fiber is not interrupted within an uninterruptible region, unless its client has left: the result of the
 *   region would be lost at its end, and the client would get 503 for work that is done.
 *
 * `Effect.interruptible` around the application is all that Effect offers, and it knows no routes. `Fiber.interrupt`, and
 * what is made of it, asks a fiber by two methods of its interface: those are replaced in the fibers that run an application.
 *
 * @internal
 */
import { RouteContext } from "@effect/platform/HttpRouter"
import { ParsedSearchParams } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberStatus from "effect/FiberStatus"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { AdapterEffect } from "../runtime/adapterEffect.js"
import { clientAbortFiberId } from "../runtime/effectInterop.js"

type Running = Fiber.RuntimeFiber<unknown, unknown>

const routeIn = ({ currentContext }: Running): { readonly uninterruptible: boolean } | undefined =>
  currentContext.unsafeMap.get(RouteContext.key)?.route

const isInUninterruptibleRoute = (fiber: Running): boolean => routeIn(fiber)?.uninterruptible === true

/** An application that is mounted has a route, but no parameters of one, and is not made interruptible. */
const isInInterruptibleRoute = (fiber: Running): boolean =>
  routeIn(fiber)?.uninterruptible === false && fiber.currentContext.unsafeMap.has(ParsedSearchParams.key)

/** Interrupts a fiber as Effect does, whatever its guard would hold back. */
const interruptNow = (fiber: Running, by: FiberId.FiberId): void => {
  const { unsafeInterruptAsFork }: Running = Object.getPrototypeOf(fiber)
  unsafeInterruptAsFork.call(fiber, by)
}

const guardKey = Symbol("effect-asynchttpserver/guard")

/** A fiber whose two methods of interruption are replaced: with functions that all fibers share, and a call of its own. */
interface GuardedFiber extends Running {
  [guardKey]?: InterruptibleRequest
  unsafeInterruptAsFork: Running["unsafeInterruptAsFork"]
  interruptAsFork: Running["interruptAsFork"]
}

function unsafeInterruptAsFork(this: GuardedFiber, by: FiberId.FiberId): void {
  this[guardKey]?.interruptFromOutside(this, by)
}

function interruptAsFork(this: GuardedFiber, by: FiberId.FiberId): Effect.Effect<void> {
  return Effect.sync(() => this.unsafeInterruptAsFork(by))
}

const isInterruptible = (status: FiberStatus.FiberStatus): boolean =>
  FiberStatus.isDone(status) || RuntimeFlags.interruptible(status.runtimeFlags)

/** An interruption that waits until a fiber, or any of a request's, is suspended where it is interruptible. */
interface PendingInterrupt {
  readonly of: Running | undefined
  readonly interrupt: () => void
}

/** A request to an application that may be interruptible as a whole. */
export abstract class InterruptibleRequest extends AdapterEffect {
  /** Whether the application is interruptible, whatever it is. */
  abstract readonly isInterruptible: boolean
  /** Closes its WebSocket, if it has one. */
  closeWebSocket: (() => void) | undefined
  /** Whether it is a part of another Effect, whose fiber is not the request's own. */
  protected isNested = false
  private root: Running | undefined
  /** Fibers that were forked in it, and have not ended. */
  private forked: Set<Running> | undefined
  private deferredInterrupt: Array<() => void> | undefined
  private waiting: Array<PendingInterrupt> | undefined
  private hasEnded = false

  fiberStarted(fiber: Running, services: ReadonlyMap<string, unknown>): void {
    if (this.root === undefined) this.root = fiber
    else this.addForked(fiber)
    // What a route forks is interrupted by the route as it likes.
    if (!this.isInterruptible || services.has(RouteContext.key)) return
    const guarded: GuardedFiber = fiber
    guarded[guardKey] = this
    guarded.unsafeInterruptAsFork = unsafeInterruptAsFork
    guarded.interruptAsFork = interruptAsFork
  }

  private addForked(fiber: Running): void {
    const forked = (this.forked ??= new Set())
    forked.add(fiber)
    fiber.addObserver(() => forked.delete(fiber))
  }

  fiberSuspended(fiber: Running): void {
    if (this.deferredInterrupt !== undefined && fiber === this.root && isInInterruptibleRoute(fiber))
      this.interruptDeferred()
    if (this.waiting?.some(({ of }) => of === undefined || of === fiber)) this.interruptWaiting(fiber)
  }

  /** By this server: since the client has left, or since the server closes. */
  override interrupt(fiber: Running, by: FiberId.FiberId = FiberId.none): void {
    const running = [fiber, ...(this.forked ?? [])]
    const interrupt = (): void => interruptNow(fiber, by)
    if (this.isInterruptible && !this.hasEnded && running.some(isInUninterruptibleRoute)) {
      // The connection ends in any case, and a WebSocket with it.
      this.closeWebSocket?.()
      this.deferInterrupt(interrupt)
    } else if (by === clientAbortFiberId) interrupt()
    else this.interruptBetweenRegions({ of: undefined, interrupt }, running)
  }

  /** By anything else: a parent, a race, a timeout, or another fiber of the application's. */
  interruptFromOutside(fiber: Running, by: FiberId.FiberId): void {
    const interrupt = (): void => interruptNow(fiber, by)
    if (this.hasEnded || isInInterruptibleRoute(fiber)) interrupt()
    else if (isInUninterruptibleRoute(fiber) || (fiber === this.root && !this.isNested)) this.deferInterrupt(interrupt)
    else this.interruptBetweenRegions({ of: fiber, interrupt }, [fiber])
  }

  private deferInterrupt(interrupt: () => void): void {
    if (this.deferredInterrupt === undefined) this.deferredInterrupt = [interrupt]
    else this.deferredInterrupt.push(interrupt)
  }

  /** Interrupts at once where a fiber is interruptible, and else when one is suspended that has become so. */
  private interruptBetweenRegions(waiting: PendingInterrupt, running: ReadonlyArray<Running>): void {
    if (this.waiting === undefined) this.waiting = [waiting]
    else this.waiting.push(waiting)
    for (const fiber of running) this.interruptWaiting(fiber)
  }

  private interruptWaiting(fiber: Running): void {
    const interrupted = Effect.map(fiber.status, (status) => {
      if (!isInterruptible(status)) return
      const waiting = this.waiting ?? []
      this.waiting = waiting.filter(({ of }) => of !== undefined && of !== fiber)
      for (const each of waiting) if (!this.waiting.includes(each)) each.interrupt()
    })
    Effect.runFork(interrupted)
  }

  /** The application has ended: interruptions that were held back come to what is left to be done. */
  release(): void {
    const { waiting = [] } = this
    this.hasEnded = true
    this.waiting = undefined
    this.interruptDeferred()
    for (const { interrupt } of waiting) interrupt()
  }

  private interruptDeferred(): void {
    const { deferredInterrupt: heldBack = [] } = this
    this.deferredInterrupt = undefined
    for (const interrupt of heldBack) interrupt()
  }
}
