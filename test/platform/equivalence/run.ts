/** Runs of a generated application: by `HttpApp.toHandled`, and by the adapter of this package. */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { fromWeb, HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as HttpHeaders from "../../../src/HttpHeaders.js"
import { toHandler } from "../../../src/HttpServer.js"
import * as HttpVersion from "../../../src/HttpVersion.js"
import { toRawFields } from "../../../src/internal/fields/headers.js"
import type { Exchange } from "../../../src/internal/message/exchange.js"
import { RequestImpl } from "../../../src/internal/message/request.js"
import { responded } from "../../../src/internal/message/responded.js"
import { AdapterEffect } from "../../../src/internal/runtime/adapterEffect.js"
import { LazyScope, RequestRuntime } from "../../../src/internal/runtime/requestRuntime.js"
import type { Responded } from "../../../src/Response.js"
import { type Recorded, Tracing } from "../harness.js"
import { type Around, appOf, type Events, exitOf, middlewareOf, type Plan } from "./plan.js"

interface Written {
  readonly status: number
  readonly body: string
  readonly headers: ReadonlyArray<readonly [string, string]>
}

const decoder = new TextDecoder()

const writtenOf = (
  status: number,
  body: string | Uint8Array,
  headers: ReadonlyArray<readonly [string, string]>
): Written => ({
  status,
  body: typeof body === "string" ? body : decoder.decode(body),
  headers: headers.filter(([name]) => name !== "content-length").sort(([a], [b]) => (a < b ? -1 : 1))
})

/** How it is interrupted, when it waits: by a client that leaves, or by a server that closes. */
export type Interrupter = "client" | "server"

interface Outcome {
  readonly written: ReadonlyArray<Written>
  readonly events: Events
  readonly spans: ReadonlyArray<unknown>
  readonly isResponded: boolean
}

export interface Case {
  readonly plan: Plan
  readonly arounds: ReadonlyArray<Around>
  readonly interrupter: Interrupter
  readonly isTraced: boolean
  readonly isDisabled: boolean
}

const spanShape = ({ attributes, exit, kind, name, parent }: Recorded): unknown => ({
  name,
  kind,
  exit: exit && exitOf(exit),
  parent: Option.map(parent, (parent) => (parent._tag === "Span" ? parent.name : "external")),
  attributes: Object.fromEntries(
    [...attributes].filter(([key]) => !/^(url|client)\./.test(key) && !/content-length|host/.test(key))
  )
})

const runtimeOf = ({ isDisabled, isTraced }: Case, tracing: Tracing): Effect.Effect<Runtime.Runtime<never>> => {
  const runtime = Effect.runtime<never>().pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  const traced = isTraced ? Effect.withTracer(runtime, tracing.tracer) : runtime
  return isDisabled ? HttpMiddleware.withTracerDisabledWhenEffect(traced, () => true) : traced
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Until it has ended; interrupts it when it waits. */
const end = async (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  events: Events,
  interrupt: () => void
): Promise<Exit.Exit<unknown, unknown>> => {
  let exit: Exit.Exit<unknown, unknown> | undefined
  fiber.addObserver((ended) => {
    exit = ended
  })
  let isInterrupted = false
  for (let turns = 0; exit === undefined; turns++) {
    if (turns > 200) throw new Error("it does not end")
    await turn()
    // Each wait is ended: what is run twice waits twice, though not in a fiber that was interrupted.
    if (!isInterrupted && events.includes("waiting")) {
      isInterrupted = true
      interrupt()
    }
  }
  return exit
}

const idOf = (interrupter: Interrupter): FiberId.FiberId =>
  interrupter === "client" ? HttpServerError.clientAbortFiberId : FiberId.none

export const theirs = async (given: Case): Promise<Outcome> => {
  const events: Events = []
  const tracing = new Tracing()
  const written: Array<Written> = []
  let isDeserted = false
  const write = (_: unknown, response: HttpServerResponse.HttpServerResponse): Effect.Effect<void> =>
    Effect.sync(() => {
      // As `NodeHttpServer` has it: what is after a response is dropped.
      if (isDeserted || written.length > 0) return
      const body = response.body._tag === "Uint8Array" ? response.body.body : ""
      written.push(writtenOf(response.status, body, Object.entries(response.headers)))
    })
  const handled = HttpApp.toHandled(
    appOf(given.plan, events),
    write,
    middlewareOf(given.arounds, events)
  ) as Effect.Effect<void, never, HttpServerRequest>
  const request = fromWeb(new Request("http://test/path"))
  const runtime = await Effect.runPromise(runtimeOf(given, tracing))
  const fiber = Runtime.runFork(runtime)(Effect.provideService(handled, HttpServerRequest, request))
  await end(fiber, events, () => {
    isDeserted = given.interrupter === "client"
    fiber.unsafeInterruptAsFork(idOf(given.interrupter))
  })
  return { written, events, spans: tracing.ended.all.map(spanShape), isResponded: written.length > 0 }
}

const never = (): never => {
  throw new Error("not asked for here")
}

/** Keeps what is answered. */
class Kept implements Exchange {
  state: Exchange["state"] = "NotStarted"
  isClientGone = false
  readonly written: Array<Written> = []
  evidence: Responded | undefined

  respond(code: number, content: string | Uint8Array, headers: HttpHeaders.Input | undefined): Responded {
    const flat = toRawFields(headers ?? {})
    const pairs = flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]!] as const] : []))
    this.written.push(writtenOf(code, content, pairs))
    this.state = "Complete"
    return (this.evidence = responded(code, content.length))
  }

  readonly startResponse = never
  readonly sendInformational = never
  readonly upgrade = never
  readonly tunnel = never
  readonly mustSuspendWriter = never
  readonly readBody = never
  readonly keep = never

  get awaitShutdown(): never {
    return never()
  }

  get awaitTurnToWrite(): never {
    return never()
  }

  get bodyStream(): never {
    return never()
  }

  get trailers(): never {
    return never()
  }
}

export const ours = async (given: Case, interruptOnDisconnect = false): Promise<Outcome> => {
  const events: Events = []
  const tracing = new Tracing()
  const exchange = new Kept()
  const app = appOf(given.plan, events)
  const middleware = middlewareOf(given.arounds, events)
  const options = { interruptOnDisconnect }
  const handler = middleware === undefined ? toHandler(app, undefined, options) : toHandler(app, middleware, options)
  const connection = { id: 1, local: Option.none(), remote: Option.none() }
  const head = {
    method: "GET",
    target: "/path",
    url: "/path",
    authority: "test",
    version: HttpVersion.make(1, 1),
    fields: () => []
  } as const
  const request = new RequestImpl(head, connection, exchange)
  const adapter = handler(request)
  if (!(adapter instanceof AdapterEffect)) throw new Error("not adapter")
  const scope = new LazyScope()
  const runtime = await Effect.runPromise(runtimeOf(given, tracing))
  const fiber = RequestRuntime.make(runtime).forkAdapter(adapter, scope)
  const result = await end(fiber, events, () => {
    exchange.isClientGone = given.interrupter === "client"
    adapter.interrupt(fiber, idOf(given.interrupter))
  })
  const isResponded = Exit.isSuccess(result) && result.value === exchange.evidence
  // The connection ends what is left of it.
  const rest = scope.closeUnlessEjected(result)
  if (rest !== undefined) await Effect.runPromise(rest)
  return { written: exchange.written, events, spans: tracing.ended.all.map(spanShape), isResponded }
}
