/** Applications of `@effect/platform`, served by this server on loopback, on a port of the system's choice. */

import type * as HttpApp from "@effect/platform/HttpApp"
import type { HttpMiddleware } from "@effect/platform/HttpMiddleware"
import type * as HttpServer from "@effect/platform/HttpServer"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { make, type Options } from "../../src/HttpServer.js"
import { quiet } from "../server/harness.js"
import { Condition } from "../support/eventually.js"

/** A server on loopback that does not drain by default. */
export const listening = (options: Options = {}): Effect.Effect<HttpServer.HttpServer, never, Scope.Scope> =>
  Effect.orDie(make({ host: "127.0.0.1", port: 0, drainTimeout: 0, ...options }))

export const portOf = ({ address }: HttpServer.HttpServer): number => {
  if (address._tag !== "TcpAddress") throw new Error("not over TCP")
  return address.port
}

export interface Given extends Options {
  readonly middleware?: HttpMiddleware | undefined
  /** What the application is served with: loggers, tracers, configuration. */
  readonly live?: Layer.Layer<never> | undefined
}

type Needs<R> = Exclude<R, HttpServerRequest | Scope.Scope>

/** Serves an application; gives the port. */
export const serving = <E, R>(
  app: HttpApp.Default<E, R>,
  { live = quiet, middleware, ...options }: Given = {}
): Effect.Effect<number, never, Scope.Scope | Needs<R>> =>
  Effect.gen(function* () {
    const server = yield* listening(options)
    const serve = middleware === undefined ? server.serve(app) : server.serve(app, middleware)
    // The requirements of a middleware are known where it is made.
    yield* Effect.provide(serve as Effect.Effect<void, never, Scope.Scope | Needs<R>>, live)
    return portOf(server)
  })

/** What happened, in order, for tests that wait for it. */
export class EventLog<A> {
  readonly all: Array<A> = []
  private readonly condition = new Condition()

  readonly tell = (what: A): void => {
    this.all.push(what)
    this.condition.notify()
  }

  readonly told = (what: A): Effect.Effect<void> => Effect.sync(() => this.tell(what))

  /** Waits for the first that is it. */
  readonly some = (isIt: (what: A) => boolean): Effect.Effect<A> =>
    this.condition.until(
      () => this.all.find(isIt),
      () => `something; told was ${JSON.stringify(this.all)}`
    )

  /** Waits for that many entries; returns all of them. */
  readonly upTo = (count: number): Effect.Effect<ReadonlyArray<A>> =>
    this.condition.until(
      () => (this.all.length >= count ? this.all : undefined),
      () => `${count}; told was ${JSON.stringify(this.all)}`
    )
}

/** An application that reports when it runs, never responds, and reports how it ended. */
export const endless = Effect.gen(function* () {
  const running = yield* Deferred.make<void>()
  const end = yield* Deferred.make<Exit.Exit<never>>()
  const app: HttpApp.Default = Effect.onExit(
    Effect.zipRight(Deferred.succeed(running, undefined), Effect.never),
    (exit) => Deferred.succeed(end, exit)
  )
  return { app, running: Deferred.await(running), end: Deferred.await(end) }
})

/** A span as an observer from outside sees it. */
export class Recorded implements Tracer.Span {
  readonly _tag = "Span"
  readonly sampled = true
  readonly spanId: string
  readonly traceId: string
  readonly attributes = new Map<string, unknown>()
  readonly events: Array<[name: string, startTime: bigint, attributes: Record<string, unknown> | undefined]> = []
  status: Tracer.SpanStatus
  exit: Exit.Exit<unknown, unknown> | undefined

  constructor(
    readonly name: string,
    readonly parent: Tracer.Span["parent"],
    readonly context: Context.Context<never>,
    readonly links: Array<Tracer.SpanLink>,
    startTime: bigint,
    readonly kind: Tracer.SpanKind,
    private readonly onEnd: (span: Recorded) => void
  ) {
    this.status = { _tag: "Started", startTime }
    this.spanId = `span of ${name}`
    this.traceId = parent._tag === "Some" ? parent.value.traceId : `trace of ${name}`
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
    this.exit = exit
    this.onEnd(this)
  }

  attribute(key: string, value: unknown): void {
    this.attributes.set(key, value)
  }

  event(name: string, startTime: bigint, attributes?: Record<string, unknown>): void {
    this.events.push([name, startTime, attributes])
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.links.push(...links)
  }
}

/** A tracer that keeps what it traces. */
export class Tracing {
  readonly ended = new EventLog<Recorded>()
  readonly tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) =>
      new Recorded(name, parent, context, [...links], startTime, kind, this.ended.tell),
    context: (run) => run()
  })

  /** Waits for the span of a request to end. */
  readonly server: Effect.Effect<Recorded> = this.ended.some(({ kind }) => kind === "server")
}

/** The response of an exit, for middleware that looks at it. */
export const statusOf = (exit: Exit.Exit<HttpServerResponse, unknown>): number | string =>
  exit._tag === "Success" ? exit.value.status : exit.cause._tag

export { quiet }
