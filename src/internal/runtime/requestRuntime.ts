/**
 * The fibers in which requests are handled, each with a `Scope` of its own.
 *
 * A request that needs a fiber has one that is new: what its handler sets in it, forks in it or patches of it is nobody
 * else's, and ends with it. It has a context of its own too, since a handler may keep it: a daemon, or a runtime captured
 * for a callback, finds the scope of its own request there, which has closed, and never another's. The scope in it is the
 * promise of one, made real by its first finalizer.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import type * as ExecutionStrategy from "effect/ExecutionStrategy"
import { sequential } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { defaultScheduler } from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { toAuthority } from "../../Address.js"
import type { ValueError } from "../../Errors.js"
import type { Client } from "../../Request.js"
import type { Responded } from "../../Response.js"
import { type TimeSource, timeSourceOf } from "../host/timeSource.js"
import { type AdapterEffect, hostedRefs } from "./adapterEffect.js"
import { microtaskScheduler } from "./microtaskScheduler.js"

const RequestScopeKey: unique symbol = Symbol.for("effect-asynchttpserver/RequestScope")

/** A scope of which nothing is made before somebody uses it: most requests do not. */
export class LazyScope implements Scope.CloseableScope {
  readonly [Scope.ScopeTypeId]: Scope.ScopeTypeId = Scope.ScopeTypeId
  readonly [Scope.CloseableScopeTypeId]: Scope.CloseableScopeTypeId = Scope.CloseableScopeTypeId
  readonly strategy: ExecutionStrategy.ExecutionStrategy = sequential
  private made: Scope.CloseableScope | undefined
  private exit: Exit.Exit<unknown, unknown> | undefined
  private isEjected = false

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

  get [RequestScopeKey](): true {
    return true
  }

  /** From now on it is somebody else's, who ends it by `close`. */
  eject(): void {
    this.isEjected = true
  }

  /** Ends it with its request, unless it has ended or is somebody else's; `undefined` when there is nothing to be done. */
  closeUnlessEjected(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    return this.isEjected ? undefined : this.ended(exit)
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => this.ended(exit) ?? Effect.void)
  }

  private ended(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    if (this.exit !== undefined) return undefined
    this.exit = exit
    return this.made === undefined ? undefined : Scope.close(this.made, exit)
  }

  pipe() {
    // biome-ignore lint/complexity/noArguments: `pipeArguments` reads them, as in every Pipeable of Effect.
    return pipeArguments(this, arguments)
  }
}

/** Whether a scope is a request's, of whichever instance of this package. */
export const isRequestScope = (scope: Scope.Scope): scope is LazyScope => RequestScopeKey in scope

/** Whether a fiber that is forked has just the value that is there: nearly every FiberRef's is so. */
const needsNoPatch = (fiberRefs: FiberRefs.FiberRefs): boolean => {
  const { locals } = FiberRefs.forkAs(fiberRefs, FiberId.none)
  return Array.from(fiberRefs.locals).every(([fiberRef, values]) => locals.get(fiberRef) === values)
}

/**
 * A runtime from which a fiber is forked for each request.
 *
 * `runFork` patches every FiberRef of the runtime for its fiber, and mostly finds that nothing changes. Where that is known
 * of all of them beforehand they are put in as they are: 0.5 of 4.4 µs that a small answer costs without its system calls.
 */
class ForkTemplate {
  private readonly fiberRefs: FiberRefs.FiberRefs
  private readonly options: Runtime.RunForkOptions | undefined

  constructor(
    fiberRefs: FiberRefs.FiberRefs,
    private readonly runtimeFlags: RuntimeFlags.RuntimeFlags
  ) {
    if (needsNoPatch(fiberRefs)) {
      this.fiberRefs = FiberRefs.empty()
      this.options = {
        updateRefs: (own) => {
          fiberRefs.locals.forEach((values, fiberRef) => {
            own.locals.set(fiberRef, values)
          })
          return own
        }
      }
    } else {
      this.fiberRefs = fiberRefs
      this.options = undefined
    }
  }

  fork<A, E>(context: Context.Context<never>, effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> {
    const { fiberRefs, runtimeFlags } = this
    return Runtime.runFork(Runtime.make({ context, fiberRefs, runtimeFlags }), effect, this.options)
  }
}

/**
 * A runtime from which a fiber is forked for each connection.
 *
 * All of them share one `FiberRefs`: such a fiber only waits and sets none, and a `FiberRefs` is never changed in place. A copy
 * for each would be a map and its entries, half of what an idle connection keeps in memory.
 */
class ConnectionTemplate {
  private readonly runtime: Runtime.Runtime<never>
  private readonly options: Runtime.RunForkOptions

  constructor(
    context: Context.Context<never>,
    fiberRefs: FiberRefs.FiberRefs,
    runtimeFlags: RuntimeFlags.RuntimeFlags
  ) {
    const shared = FiberRefs.updateAs(FiberRefs.forkAs(fiberRefs, FiberId.none), {
      fiberId: FiberId.none,
      fiberRef: FiberRef.currentContext,
      value: context
    })
    this.runtime = Runtime.make({ context, fiberRefs: FiberRefs.empty(), runtimeFlags })
    this.options = { updateRefs: () => shared }
  }

  fork<A>(effect: Effect.Effect<A>): Fiber.RuntimeFiber<A> {
    return Runtime.runFork(this.runtime, effect, this.options)
  }
}

/** What all connections of one caller have in common. */
interface ServerRuntime {
  readonly context: Context.Context<never>
  readonly fiberRefs: FiberRefs.FiberRefs
  readonly hostedRefs: FiberRefs.FiberRefs
  readonly interruptible: RuntimeFlags.RuntimeFlags
  readonly uninterruptible: RuntimeFlags.RuntimeFlags
  readonly services: ContextTemplate
  readonly connections: ConnectionTemplate
  readonly time: TimeSource
}

/** Where the fibers come from for the connections that one caller serves: his context, his FiberRefs, his logger. */
export class RequestRuntime {
  private template: ForkTemplate | undefined
  private adapterTemplate: ForkTemplate | undefined
  private fiberRefsCache: FiberRefs.FiberRefs | undefined
  private adapterRefsCache: FiberRefs.FiberRefs | undefined

  private constructor(
    private readonly base: ServerRuntime,
    private readonly client: Client | undefined
  ) {}

  static make({ context, fiberRefs, runtimeFlags }: Runtime.Runtime<never>): RequestRuntime {
    const { Interruption } = RuntimeFlags
    const refs = withMicrotaskScheduler(fiberRefs)
    const base: ServerRuntime = {
      fiberRefs: refs,
      hostedRefs: hostedRefs(refs),
      interruptible: RuntimeFlags.enable(runtimeFlags, Interruption),
      uninterruptible: RuntimeFlags.disable(runtimeFlags, Interruption),
      context,
      services: new ContextTemplate(context),
      connections: new ConnectionTemplate(context, refs, RuntimeFlags.disable(runtimeFlags, Interruption)),
      time: timeSourceOf(Context.get(FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices), Clock.Clock))
    }
    return new RequestRuntime(base, undefined)
  }

  /** The time by which the duration of a handler is measured. */
  get time(): TimeSource {
    return this.base.time
  }

  /**
   * The same, for the requests of one client: its connection and its address are in their log lines, and in the spans of
   * this package's own handlers.
   */
  forClient(client: Client): RequestRuntime {
    return new RequestRuntime(this.base, client)
  }

  // Made for the first request of either kind: a connection mostly has one of the two.

  /** For work of another world, whose spans say what they say there, and no more. */
  private get adapterRefs(): FiberRefs.FiberRefs {
    return (this.adapterRefsCache ??= this.annotated(this.base.hostedRefs, FiberRef.currentLogAnnotations))
  }

  private get fiberRefs(): FiberRefs.FiberRefs {
    const { fiberRefs } = this.base
    return (this.fiberRefsCache ??= this.annotated(
      this.annotated(fiberRefs, FiberRef.currentLogAnnotations),
      FiberRef.currentTracerSpanAnnotations
    ))
  }

  private annotated(
    refs: FiberRefs.FiberRefs,
    fiberRef: FiberRef.FiberRef<HashMap.HashMap<string, unknown>>
  ): FiberRefs.FiberRefs {
    if (this.client === undefined) return refs
    const { id, remote } = this.client
    const peer = Option.match(remote, { onNone: () => "unknown", onSome: toAuthority })
    const before = FiberRefs.getOrDefault(refs, fiberRef)
    const value = HashMap.set(HashMap.set(before, "connection", id), "peer", peer)
    return FiberRefs.updateAs(refs, { fiberId: FiberId.none, fiberRef, value })
  }

  // Whoever asks has what the effect needs, `R`: it is the context's, but for the one scope that he gives.

  /** Starts the fiber of a request in this very turn. */
  fork<A, E, R>(effect: Effect.Effect<A, E, R>, scope: LazyScope): Fiber.RuntimeFiber<A, E> {
    const { interruptible, services } = this.base
    this.template ??= new ForkTemplate(this.fiberRefs, interruptible)
    return this.template.fork(services.with(scope), effect as Effect.Effect<A, E>)
  }

  /** The same for work that brings services of its own, and is born uninterruptible. */
  forkAdapter(hosted: AdapterEffect, scope: LazyScope): Fiber.RuntimeFiber<Responded, ValueError> {
    const { services, uninterruptible } = this.base
    this.adapterTemplate ??= new ForkTemplate(this.adapterRefs, uninterruptible)
    const own = services.with(scope)
    return this.adapterTemplate.fork(own, withServices(hosted, own, this.adapterRefs))
  }

  /** Forks the fiber of a connection, uninterruptible but where the effect says otherwise. */
  forkConnection<A>(effect: Effect.Effect<A>): Fiber.RuntimeFiber<A> {
    return this.base.connections.fork(effect)
  }

  /** Starts a fiber that is born uninterruptible: an interruption would take the place of its result. */
  forkUninterruptible<A, R>(effect: Effect.Effect<A, never, R>): Fiber.RuntimeFiber<A> {
    const { context, uninterruptible } = this.base
    const runtime = Runtime.make({ context, fiberRefs: this.fiberRefs, runtimeFlags: uninterruptible })
    return Runtime.runFork(runtime, effect as Effect.Effect<A>)
  }
}

/** With a scheduler that keeps nothing of a fiber, unless the caller has chosen one. */
const withMicrotaskScheduler = (given: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  // A fiber has its context from its runtime, and copies what is here.
  const refs = FiberRefs.delete(given, FiberRef.currentContext)
  return FiberRefs.getOrDefault(refs, FiberRef.currentScheduler) === defaultScheduler
    ? FiberRefs.updateAs(refs, {
        fiberId: FiberId.none,
        fiberRef: FiberRef.currentScheduler,
        value: microtaskScheduler
      })
    : refs
}

/** What makes the services may be somebody's who throws: that is the request's failure, and no more. */
const withServices = (
  hosted: AdapterEffect,
  { unsafeMap }: Context.Context<never>,
  fiberRefs: FiberRefs.FiberRefs
): Effect.Effect<Responded, ValueError> => {
  try {
    hosted.addServices(unsafeMap, fiberRefs)
    return hosted.program
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** The services of a context, laid out to be copied for each request: a map that is copied as one takes half as long again. */
class ContextTemplate {
  private readonly keys: ReadonlyArray<string>
  private readonly values: ReadonlyArray<unknown>

  constructor({ unsafeMap }: Context.Context<never>) {
    this.keys = Array.from(unsafeMap.keys())
    this.values = Array.from(unsafeMap.values())
  }

  with(scope: Scope.Scope): Context.Context<never> {
    const { keys, values } = this
    const services = new Map<string, unknown>()
    for (let i = 0; i < keys.length; i++) services.set(keys[i]!, values[i])
    services.set(Scope.Scope.key, scope)
    return Context.unsafeMake(services)
  }
}
