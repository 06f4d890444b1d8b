/**
 * Runtime of request fibers, each with its own `Scope`.
 *
 * Each request that needs a fiber gets a new one, so that FiberRefs and child fibers of a handler are isolated. Each has its own
 * context, too, since a handler may keep it: a daemon, or a runtime captured for a callback, finds the closed scope of its own
 * request there, and never that of another. The scope is lazy: it is created by its first finalizer.
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
import type { Client as RequestClient } from "../../Request.js"
import type { Responded } from "../../Response.js"
import { type TimeSource, timeSourceOf } from "../host/timeSource.js"
import { type AdapterEffect, withAdapterRefs, withRef } from "./adapterEffect.js"
import { microtaskScheduler } from "./microtaskScheduler.js"

/** What its log entries and spans say of a client. */
type Client = Pick<RequestClient, "id" | "remote">

const RequestScopeKey: unique symbol = Symbol.for("effect-asynchttpserver/RequestScope")

/** A scope that is created on first use: most requests do not use theirs. */
export class LazyScope implements Scope.CloseableScope {
  readonly [Scope.ScopeTypeId]: Scope.ScopeTypeId = Scope.ScopeTypeId
  readonly [Scope.CloseableScopeTypeId]: Scope.CloseableScopeTypeId = Scope.CloseableScopeTypeId
  readonly strategy: ExecutionStrategy.ExecutionStrategy = sequential
  private scope: Scope.CloseableScope | undefined
  private exit: Exit.Exit<unknown, unknown> | undefined
  private isEjected = false

  private get materialized(): Scope.CloseableScope {
    if (this.scope !== undefined) return this.scope
    const scope = Effect.runSync(Scope.make())
    this.scope = scope
    // A finalizer that is added after the close runs at once, as with any scope.
    if (this.exit !== undefined) Effect.runSync(Scope.close(scope, this.exit))
    return scope
  }

  // `state`, `addFinalizer` and `fork` are members of a scope that its public type omits. `Effect.forkScoped` reads and
  // updates `state`.
  get state(): unknown {
    return (this.materialized as Scope.CloseableScope & { readonly state: unknown }).state
  }

  addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return Effect.suspend(() => Scope.addFinalizerExit(this.materialized, finalizer))
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => Scope.fork(this.materialized, strategy))
  }

  get [RequestScopeKey](): true {
    return true
  }

  /** Transfers the ownership: the new owner calls `close`. */
  eject(): void {
    this.isEjected = true
  }

  /** Closes the scope at the end of its request, unless it is closed or ejected; `undefined` if there is nothing to run. */
  closeUnlessEjected(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    return this.isEjected ? undefined : this.ended(exit)
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => this.ended(exit) ?? Effect.void)
  }

  private ended(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    if (this.exit !== undefined) return undefined
    this.exit = exit
    return this.scope === undefined ? undefined : Scope.close(this.scope, exit)
  }

  pipe() {
    // biome-ignore lint/complexity/noArguments: `pipeArguments` reads them, as in every Pipeable of Effect.
    return pipeArguments(this, arguments)
  }
}

/** Whether a scope is that of a request, of any instance of this package. */
export const isRequestScope = (scope: Scope.Scope): scope is LazyScope => RequestScopeKey in scope

/** Whether forking changes no FiberRef: true unless one has a custom `fork` patch. */
const needsNoPatch = (fiberRefs: FiberRefs.FiberRefs): boolean => {
  const { locals } = FiberRefs.forkAs(fiberRefs, FiberId.none)
  return Array.from(fiberRefs.locals).every(([fiberRef, values]) => locals.get(fiberRef) === values)
}

/**
 * Template for the fibers of requests.
 *
 * `runFork` patches every FiberRef of the runtime for its fiber, which usually changes nothing. If that is known in advance,
 * the FiberRefs are copied unchanged: this saves 0.5 of 4.4 µs of a small response, system calls excluded.
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
 * for each would be a map with an entry for every FiberRef.
 */
class ConnectionTemplate {
  private readonly runtime: Runtime.Runtime<never>
  private readonly options: Runtime.RunForkOptions

  constructor(
    context: Context.Context<never>,
    fiberRefs: FiberRefs.FiberRefs,
    runtimeFlags: RuntimeFlags.RuntimeFlags
  ) {
    const shared = withRef(FiberRefs.forkAs(fiberRefs, FiberId.none), FiberRef.currentContext, context)
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
  readonly adapterRefs: FiberRefs.FiberRefs
  readonly interruptible: RuntimeFlags.RuntimeFlags
  readonly uninterruptible: RuntimeFlags.RuntimeFlags
  readonly services: ContextTemplate
  readonly connections: ConnectionTemplate
  readonly time: TimeSource
}

/** Forks the fibers of requests, with the context, the FiberRefs and the loggers of the fiber that runs the server. */
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
      adapterRefs: withAdapterRefs(refs),
      interruptible: RuntimeFlags.enable(runtimeFlags, Interruption),
      uninterruptible: RuntimeFlags.disable(runtimeFlags, Interruption),
      context,
      services: new ContextTemplate(context),
      connections: new ConnectionTemplate(context, refs, RuntimeFlags.disable(runtimeFlags, Interruption)),
      time: timeSourceOf(Context.get(FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices), Clock.Clock))
    }
    return new RequestRuntime(base, undefined)
  }

  /** The clock for the duration of handlers. */
  get time(): TimeSource {
    return this.base.time
  }

  /**
   * The runtime for the requests of one client: log entries, and spans of native handlers, are annotated with its connection
   * and its address.
   */
  forClient(client: Client): RequestRuntime {
    return new RequestRuntime(this.base, client)
  }

  // Created on demand: most connections have one kind of requests.

  /** FiberRefs for adapter effects, whose spans have the attributes of `@effect/platform` only. */
  private get adapterRefs(): FiberRefs.FiberRefs {
    return (this.adapterRefsCache ??= this.annotated(this.base.adapterRefs, FiberRef.currentLogAnnotations))
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
    const annotations = FiberRefs.getOrDefault(refs, fiberRef)
    return withRef(refs, fiberRef, HashMap.set(HashMap.set(annotations, "connection", id), "peer", peer))
  }

  // `R` of the effect is provided by the context of the server and the scope of the request.

  fork<A, E, R>(effect: Effect.Effect<A, E, R>, scope: LazyScope): Fiber.RuntimeFiber<A, E> {
    const { interruptible, services } = this.base
    this.template ??= new ForkTemplate(this.fiberRefs, interruptible)
    return this.template.fork(services.with(scope), effect as Effect.Effect<A, E>)
  }

  /** Starts the fiber of an adapter effect, which adds its own services and starts uninterruptible. */
  forkAdapter(effect: AdapterEffect, scope: LazyScope): Fiber.RuntimeFiber<Responded, ValueError> {
    const { services, uninterruptible } = this.base
    this.adapterTemplate ??= new ForkTemplate(this.adapterRefs, uninterruptible)
    const ownContext = services.with(scope)
    return this.adapterTemplate.fork(ownContext, withServices(effect, ownContext, this.adapterRefs))
  }

  /** Forks the fiber of a connection, uninterruptible but where the effect says otherwise. */
  forkConnection<A>(effect: Effect.Effect<A>): Fiber.RuntimeFiber<A> {
    return this.base.connections.fork(effect)
  }

  /** Starts an uninterruptible fiber: an interruption would replace its result. */
  forkUninterruptible<A, R>(effect: Effect.Effect<A, never, R>): Fiber.RuntimeFiber<A> {
    const { context, uninterruptible } = this.base
    const runtime = Runtime.make({ context, fiberRefs: this.fiberRefs, runtimeFlags: uninterruptible })
    return Runtime.runFork(runtime, effect as Effect.Effect<A>)
  }
}

/** Replaces the default scheduler by the microtask scheduler. */
const withMicrotaskScheduler = (fiberRefs: FiberRefs.FiberRefs): FiberRefs.FiberRefs => {
  // A fiber gets its context from its runtime, and would copy this one.
  const refs = FiberRefs.delete(fiberRefs, FiberRef.currentContext)
  return FiberRefs.getOrDefault(refs, FiberRef.currentScheduler) === defaultScheduler
    ? withRef(refs, FiberRef.currentScheduler, microtaskScheduler)
    : refs
}

/** Application code in `addServices` may throw: that fails the request only. */
const withServices = (
  effect: AdapterEffect,
  { unsafeMap }: Context.Context<never>,
  fiberRefs: FiberRefs.FiberRefs
): Effect.Effect<Responded, ValueError> => {
  try {
    effect.addServices(unsafeMap, fiberRefs)
    return effect.program
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** The services of a context as arrays, to be copied for each request: copying a `Map` takes half as long again. */
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
