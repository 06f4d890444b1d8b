/**
 * The `Scope` of one request, and what becomes of what its handler leaves in the fiber: children, and FiberRefs.
 *
 * Every handler that is more than an answer gets a context of its own (2 µs), since it may keep it: a daemon, or a
 * runtime captured for a callback, finds the scope of its own request there, which has closed, and never another's. The
 * scope in it is the promise of one, made real by its first finalizer. What a handler leaves in the fiber is noticed,
 * not searched for: a fork passes a FiberRef, and a FiberRef that was set makes the fiber's references another object.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as ExecutionStrategy from "effect/ExecutionStrategy"
import { sequential } from "effect/ExecutionStrategy"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import { pipeArguments } from "effect/Pipeable"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Scope from "effect/Scope"
import { interruptChildren, unsafeRefsOf } from "../runtime.js"

class LazyScope implements Scope.Scope {
  readonly [Scope.ScopeTypeId]: Scope.ScopeTypeId = Scope.ScopeTypeId
  readonly strategy: ExecutionStrategy.ExecutionStrategy = sequential
  private made: Scope.CloseableScope | undefined
  private exit: Exit.Exit<unknown, unknown> | undefined

  get isUsed(): boolean {
    return this.made !== undefined
  }

  private get real(): Scope.CloseableScope {
    if (this.made !== undefined) return this.made
    const made = Effect.runSync(Scope.make())
    this.made = made
    // What comes to a scope that is over is finalized at once, as with any other.
    if (this.exit !== undefined) Effect.runSync(Scope.close(made, this.exit))
    return made
  }

  // `state`, `addFinalizer` and `fork` are a scope's own members, which its public type leaves out. `Effect.forkScoped`
  // looks at the first, and adds itself to it.
  get state(): unknown {
    return (this.real as Scope.CloseableScope & { readonly state: unknown }).state
  }

  addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return Effect.suspend(() => Scope.addFinalizerExit(this.real, finalizer))
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => Scope.fork(this.real, strategy))
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.exit = exit
      return this.made === undefined ? Effect.void : Scope.close(this.made, exit)
    })
  }

  /** The same as `close`, for a scope that nobody has used. */
  closeUnused(exit: Exit.Exit<unknown, unknown>): void {
    this.exit = exit
  }

  pipe() {
    // biome-ignore lint/complexity/noArguments: `pipeArguments` reads them, as in every Pipeable of Effect.
    return pipeArguments(this, arguments)
  }
}

interface Forks {
  seen: boolean
}

/** Each fiber has its own value: whenever it forks, the value passes here, and its child gets another. */
const forksRef: FiberRef.FiberRef<Forks> = FiberRef.unsafeMake<Forks>(
  { seen: false },
  {
    fork: (forks) => {
      forks.seen = true
      return { seen: false }
    }
  }
)

const contextWith = (base: Context.Context<never>, scope: Scope.Scope): Context.Context<never> => {
  const services = new Map(base.unsafeMap)
  services.set(Scope.Scope.key, scope)
  return Context.unsafeMake(services)
}

/** Where the fibers of the connections come from that one caller serves: his context, his FiberRefs, his logger. */
export class ConnectionFibers {
  readonly context: Context.Context<never>
  private readonly runtime: Runtime.Runtime<never>

  constructor({ context, fiberRefs, runtimeFlags }: Runtime.Runtime<never>) {
    this.context = context
    this.runtime = Runtime.make({
      context,
      fiberRefs: FiberRefs.updateAs(fiberRefs, { fiberId: FiberId.none, fiberRef: forksRef, value: { seen: false } }),
      // Such a fiber succeeds even when it is interrupted, and says itself where it may be.
      runtimeFlags: RuntimeFlags.disable(runtimeFlags, RuntimeFlags.Interruption)
    })
  }

  /** Starts a fiber in this very turn. Its caller has what the effect needs: a `Scope` apart, which each request has. */
  fork<A, R>(effect: Effect.Effect<A, never, R>): Fiber.RuntimeFiber<A> {
    // `R` is the context's and the request's scope, of which this class knows the one and makes the other.
    return Runtime.runFork(this.runtime, effect as Effect.Effect<A>)
  }
}

export class RequestScope {
  private scope: LazyScope | undefined
  // Set by `install`, before any request is.
  private fiber!: Fiber.RuntimeFiber<unknown, unknown>
  private refs!: FiberRefs.FiberRefs
  private forks!: Forks

  constructor(private readonly fibers: ConnectionFibers) {}

  /** The fiber has started: as it is now, every request is to find it. */
  install(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.fiber = fiber
    this.refs = unsafeRefsOf(fiber)
    this.forks = fiber.getFiberRef(forksRef)
  }

  /** To be run before a handler: its own scope, in a context of its own, which it may keep. */
  begin(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const scope = (this.scope = new LazyScope())
      const context = contextWith(this.fibers.context, scope)
      return Effect.map(FiberRef.set(FiberRef.currentContext, context), () => {
        this.refs = unsafeRefsOf(this.fiber)
      })
    })
  }

  /** Ends a request: its children, its scope, and what it set in the fiber; `undefined` when there is nothing to end. */
  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    const { scope } = this
    if (!this.forks.seen && scope?.isUsed !== true && unsafeRefsOf(this.fiber) === this.refs) {
      scope?.closeUnused(exit)
      return undefined
    }
    const children = this.forks.seen ? interruptChildren(this.fiber) : Effect.void
    const closed = scope === undefined ? children : Effect.ensuring(children, scope.close(exit))
    return Effect.ensuring(closed, this.restore())
  }

  /** A FiberRef that a handler has set is not for the next request, which may be somebody else's. */
  private restore(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const before = this.refs.locals
      const changes: Array<Effect.Effect<void>> = []
      const now = unsafeRefsOf(this.fiber).locals
      for (const [ref, [[, value]]] of before) {
        if (!now.has(ref)) changes.push(FiberRef.set(ref, value))
      }
      for (const [ref, [[, value]]] of now) {
        const old = before.get(ref)
        if (old === undefined) changes.push(FiberRef.delete(ref))
        else if (value !== old[0][1]) changes.push(FiberRef.set(ref, old[0][1]))
      }
      const settled = Effect.sync(() => {
        this.forks.seen = false
        this.scope = undefined
        this.refs = unsafeRefsOf(this.fiber)
      })
      return Effect.zipRight(Effect.all(changes, { discard: true }), settled)
    })
  }
}
