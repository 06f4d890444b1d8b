/** Servers for tests: on a loopback port of the system's choice, with a budget of their own that a test can read. */
import { readdirSync } from "node:fs"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import type { RespondableError } from "../../src/Errors.js"
import * as Listener from "../../src/Listener.js"
import type { Request } from "../../src/Request.js"
import * as RequestParser from "../../src/RequestParser.js"
import type { Handler } from "../../src/Response.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import * as TcpListener from "../../src/TcpListener.js"
import { Condition, eventually } from "../support/eventually.js"

/** The log of a server under test: what is expected to be logged is not the test run's. */
export const quiet: Layer.Layer<never> = Logger.remove(Logger.defaultLogger)

export interface Made {
  readonly server: Server.Server
  readonly budget: DescriptorBudget.Budget
  /** What the listener gave: its counts are not the server's. */
  readonly bounds: ReadonlyArray<Listener.BoundListener>
}

/** A server on loopback that does not drain by default. */
export const make = (
  options: Server.Options = {},
  budget: DescriptorBudget.Options = {},
  writer = ResponseWriter.layer
): Effect.Effect<Made, never, Scope.Scope> => {
  const bounds: Array<Listener.BoundListener> = []
  const watched = Layer.map(TcpListener.layer, (context) => {
    const listener = Context.get(context, Listener.Listener)
    return Context.make(Listener.Listener, {
      listen: (options) => Effect.tap(listener.listen(options), (bound) => Effect.sync(() => bounds.push(bound)))
    })
  })
  const dependencies = Layer.provideMerge(
    Layer.mergeAll(watched, RequestParser.layer, writer),
    DescriptorBudget.layer(budget)
  )
  const live = Layer.provideMerge(
    Server.layerWithoutDependencies({ address: "127.0.0.1", drainTimeout: 0, ...options }),
    dependencies
  )
  return Effect.map(Layer.build(Layer.provideMerge(live, quiet)), (context) => ({
    server: Context.get(context, Server.Server),
    budget: Context.get(context, DescriptorBudget.DescriptorBudget),
    bounds
  }))
}

export interface Serving extends Made {
  readonly port: number
  readonly fiber: Fiber.RuntimeFiber<never, Server.ListenError>
}

export interface Given extends Server.Options {
  readonly max?: number | undefined
  readonly assumed?: number | undefined
}

const listening = ({
  assumed: _,
  max,
  ...options
}: Given): Effect.Effect<Made & { port: number }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const made = yield* make(options, { max })
    const { port } = yield* Effect.orDie(made.server.listen({ port: 0 }))
    return { ...made, port }
  })

/** Serves with a handler that fails, if at all, with errors for which the server has a response. */
export const serving = <E extends RespondableError, R>(
  handler: Handler<E, R>,
  given: Given = {}
): Effect.Effect<Serving, never, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const made = yield* listening(given)
    const serve = made.server.serve(handler, { assumedDescriptorsPerRequest: given.assumed })
    return { ...made, fiber: yield* Effect.provide(Effect.forkScoped(serve), quiet) }
  })

/** What `onFailure` received. */
export class Reports<E> {
  readonly all: Array<{ readonly cause: Cause.Cause<E>; readonly request: Request }> = []
  private readonly condition = new Condition()

  readonly onFailure = (cause: Cause.Cause<E>, request: Request): Effect.Effect<void> =>
    Effect.sync(() => {
      this.all.push({ cause, request })
      this.condition.notify()
    })

  /** Waits for the first report. */
  readonly first = this.condition.until(
    () => this.all[0],
    () => "a failure to be reported"
  )
}

/** Serves with a handler that fails with anything, and keeps what was reported. */
export const servingReported = <E, R>(
  handler: Handler<E, R>,
  given: Given = {}
): Effect.Effect<Serving & { reports: Reports<E> }, never, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const made = yield* listening(given)
    const reports = new Reports<E>()
    const serve = made.server.serve(handler, {
      assumedDescriptorsPerRequest: given.assumed,
      onFailure: reports.onFailure
    })
    return { ...made, reports, fiber: yield* Effect.provide(Effect.forkScoped(serve), quiet) }
  })

/** The error of an effect that must fail. */
export const refusal = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, never, R> =>
  Effect.orDieWith(Effect.flip(effect), () => new Error("expected a failure"))

/** Waits until the server holds that many descriptors: one is its own while it listens. */
export const untilDescriptorsHeld = ({ budget }: Made, count: number): Effect.Effect<void> =>
  Effect.asVoid(eventually(budget.held, (held) => held === count, `${count} descriptors held`))

/** Descriptors of this process, as the system counts them. */
export const openDescriptors: Effect.Effect<number> = Effect.sync(() => readdirSync("/proc/self/fd").length)
