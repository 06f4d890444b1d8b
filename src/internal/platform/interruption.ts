/**
 * Interruption of an application: which interruptions take effect at once, and which are deferred.
 *
 * `@effect/platform` runs an application uninterruptibly, except in the routes of a router. Here the whole application is
 * interruptible, so that a disconnect of the client ends it. Three rules preserve what is uninterruptible there:
 *
 * - A route that is declared uninterruptible runs to its end.
 * - Outside of interruptible routes, an interruption of the request fiber by anything but this server takes effect when the
 *   application has ended.
 * - Otherwise a fiber is not interrupted within an uninterruptible region, unless the client has disconnected: the result of
 *   the region would be lost, and the client would get 503 for completed work.
 *
 * `Effect.interruptible` around the application is not aware of routes. `Fiber.interrupt` and its variants call two methods of
 * a fiber: those are replaced in the fibers that run an application.
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

/** A mounted application has a route without parameters, and is not interruptible in `@effect/platform`. */
const isInInterruptibleRoute = (fiber: Running): boolean =>
  routeIn(fiber)?.uninterruptible === false && fiber.currentContext.unsafeMap.has(ParsedSearchParams.key)

/** Interrupts a fiber by Effect's own method, bypassing the replaced one. */
const interruptNow = (fiber: Running, by: FiberId.FiberId): void => {
  const { unsafeInterruptAsFork }: Running = Object.getPrototypeOf(fiber)
  unsafeInterruptAsFork.call(fiber, by)
}

const guardKey = Symbol("effect-asynchttpserver/guard")

/** A fiber whose two interruption methods are replaced, by functions that all guarded fibers share. */
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

/** An interruption that is deferred until a fiber, or any fiber of the request, is suspended in an interruptible region. */
interface PendingInterrupt {
  readonly of: Running | undefined
  readonly interrupt: () => void
}

/** A request to an application that may be interruptible as a whole. */
export abstract class InterruptibleRequest extends AdapterEffect {
  /** Whether the application is interruptible as a whole. */
  abstract readonly isInterruptible: boolean
  /** Closes the WebSocket of the request, if there is one. */
  closeWebSocket: (() => void) | undefined
  /** Whether it runs within another Effect, whose fiber is not that of the request. */
  protected isNested = false
  private root: Running | undefined
  /** Running fibers that were forked in it. */
  private forked: Set<Running> | undefined
  private deferredInterrupt: Array<() => void> | undefined
  private waiting: Array<PendingInterrupt> | undefined
  private hasEnded = false

  fiberStarted(fiber: Running, services: ReadonlyMap<string, unknown>): void {
    if (this.root === undefined) this.root = fiber
    else this.addForked(fiber)
    // Fibers that are forked in a route are under the control of the route.
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

  /** Interruption by this server: on disconnect of the client, or at shutdown. */
  override interrupt(fiber: Running, by: FiberId.FiberId = FiberId.none): void {
    const running = [fiber, ...(this.forked ?? [])]
    const interrupt = (): void => interruptNow(fiber, by)
    if (this.isInterruptible && !this.hasEnded && running.some(isInUninterruptibleRoute)) {
      // The connection is closed in any case, and a WebSocket with it.
      this.closeWebSocket?.()
      this.deferInterrupt(interrupt)
    } else if (by === clientAbortFiberId) interrupt()
    else this.interruptBetweenRegions({ of: undefined, interrupt }, running)
  }

  /** Interruption by anything else: a parent, a race, a timeout, or another fiber of the application. */
  interruptFromOutside(fiber: Running, by: FiberId.FiberId): void {
    const interrupt = (): void => interruptNow(fiber, by)
    if (this.hasEnded || isInInterruptibleRoute(fiber)) interrupt()
    else if (isInUninterruptibleRoute(fiber) || (fiber === this.root && !this.isNested)) this.deferInterrupt(interrupt)
    else this.interruptBetweenRegions({ of: fiber, interrupt }, [fiber])
  }

  private deferInterrupt(interrupt: () => void): void {
    ;(this.deferredInterrupt ??= []).push(interrupt)
  }

  /** Interrupts at once if a fiber is interruptible, else when one is suspended in an interruptible region. */
  private interruptBetweenRegions(waiting: PendingInterrupt, running: ReadonlyArray<Running>): void {
    ;(this.waiting ??= []).push(waiting)
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

  /** Runs deferred interruptions at the end of the application: they affect the remaining steps. */
  release(): void {
    const { waiting = [] } = this
    this.hasEnded = true
    this.waiting = undefined
    this.interruptDeferred()
    for (const { interrupt } of waiting) interrupt()
  }

  private interruptDeferred(): void {
    const { deferredInterrupt: deferred = [] } = this
    this.deferredInterrupt = undefined
    for (const interrupt of deferred) interrupt()
  }
}
