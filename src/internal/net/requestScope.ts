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
import type * as FiberId from "effect/FiberId"
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

/** Set for the fiber of a connection; whenever it or a child of it forks, the value passes here. */
const forksRef: FiberRef.FiberRef<Forks> = FiberRef.unsafeMake<Forks>(
  { seen: false },
  {
    fork: (forks) => {
      forks.seen = true
      return forks
    }
  }
)

const contextWith = (base: Context.Context<never>, scope: Scope.Scope): Context.Context<never> => {
  const services = new Map(base.unsafeMap)
  services.set(Scope.Scope.key, scope)
  return Context.unsafeMake(services)
}

export class RequestScope {
  private scope = new LazyScope()
  private readonly forks: Forks = { seen: false }
  // Set by `install`, before any request is.
  private fiber!: Fiber.RuntimeFiber<unknown, unknown>
  private refs!: FiberRefs.FiberRefs

  constructor(private readonly runtime: Runtime.Runtime<never>) {}

  /** The runtime in which the connection's fiber is to be started: it succeeds even when it is interrupted. */
  makeRuntime(): Runtime.Runtime<never> {
    const { context, fiberRefs } = this.runtime
    const runtimeFlags = RuntimeFlags.disable(this.runtime.runtimeFlags, RuntimeFlags.Interruption)
    return Runtime.make({ context, fiberRefs, runtimeFlags })
  }

  /** What that fiber starts with besides: the eye on its forks, of which its own start is none. */
  readonly updateRefs = (refs: FiberRefs.FiberRefs, fiberId: FiberId.Runtime): FiberRefs.FiberRefs =>
    FiberRefs.updateAs(refs, { fiberId, fiberRef: forksRef, value: this.forks })

  /** The fiber has started: as it is now, every request is to find it. */
  install(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.fiber = fiber
    this.refs = unsafeRefsOf(fiber)
  }

  /** To be run before a handler: its own scope, in a context of its own, which it may keep. */
  readonly begin: Effect.Effect<void> = Effect.suspend(() => {
    this.scope = new LazyScope()
    const context = contextWith(this.runtime.context, this.scope)
    return Effect.map(FiberRef.set(FiberRef.currentContext, context), () => {
      this.refs = unsafeRefsOf(this.fiber)
    })
  })

  /** Ends a request: its children, its scope, and what it set in the fiber; `undefined` when there is nothing to end. */
  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    if (!this.forks.seen && !this.scope.isUsed && unsafeRefsOf(this.fiber) === this.refs) {
      this.scope.closeUnused(exit)
      return undefined
    }
    const children = this.forks.seen ? interruptChildren(this.fiber) : Effect.void
    const closed = Effect.ensuring(children, this.scope.close(exit))
    return Effect.ensuring(closed, this.restore)
  }

  /** A FiberRef that a handler has set is not for the next request, which may be somebody else's. */
  private readonly restore: Effect.Effect<void> = Effect.suspend(() => {
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
      this.scope = new LazyScope()
      this.refs = unsafeRefsOf(this.fiber)
    })
    return Effect.zipRight(Effect.all(changes, { discard: true }), settled)
  })
}
