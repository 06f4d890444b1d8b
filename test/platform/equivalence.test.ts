/**
 * Our equivalent of `HttpApp.toHandled` beside the original, over generated applications: what is written, what middleware
 * and finalizers see and in which order, and what is traced, must be the same.
 */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { fromWeb, HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "vitest"
import type * as HttpHeaders from "../../src/HttpHeaders.js"
import { toHandler } from "../../src/HttpServer.js"
import * as HttpVersion from "../../src/HttpVersion.js"
import { toRawFields } from "../../src/internal/fields/headers.js"
import type { Exchange } from "../../src/internal/message/exchange.js"
import { RequestImpl } from "../../src/internal/message/request.js"
import { responded } from "../../src/internal/message/responded.js"
import { AdapterEffect } from "../../src/internal/runtime/adapterEffect.js"
import { LazyScope, RequestRuntime } from "../../src/internal/runtime/requestRuntime.js"
import type { Responded } from "../../src/Response.js"
import { type Recorded, Tracing } from "./harness.js"

class Teapot extends Data.TaggedError("Teapot")<{ readonly status: number }> {
  [Respondable.symbol]() {
    return HttpServerResponse.text("teapot", { status: this.status })
  }
}

/** What both runs tell, in order. */
type Told = Array<unknown>

const ref = FiberRef.unsafeMake("unset")

// What is generated is a plan, which fast-check can print; from it an application is made for each of the two runs.

type Leaf =
  | { readonly is: "response"; readonly status: number }
  | { readonly is: "fail" | "die" | "throw" | "interrupt" | "wait" }
  | { readonly is: "teapot" | "dieTeapot" | "failResponse" | "dieResponse"; readonly status: number }

type Wrap =
  | { readonly with: "finalizer" | "span" | "set" | "ensuring"; readonly name: string }
  | { readonly with: "prepare"; readonly how: "mark" | "fail" | "die" | "replace" | "wait" }
  | {
      readonly with:
        | "yield"
        | "async"
        | "fork"
        | "header"
        | "eject"
        | "scoped"
        | "catchAll"
        | "look"
        | "uninterruptible"
        | "interrupted"
        | "route"
        | "uninterruptibleRoute"
    }

interface Plan {
  readonly leaf: Leaf
  readonly wraps: ReadonlyArray<Wrap>
}

type Around =
  | "before"
  | "behind"
  | "replace"
  | "recover"
  | "failBefore"
  | "failBehind"
  | "dieBehind"
  | "unasked"
  | "twice"
  | "exit"
  | "locally"
  | "fork"
  | "modify"
  | "cors"

const statuses = fc.constantFrom(200, 204, 404, 503)

const leaves: fc.Arbitrary<Leaf> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ is: fc.constant("response" as const), status: statuses }) },
  fc.record({
    is: fc.constantFrom("fail" as const, "die" as const, "throw" as const, "interrupt" as const, "wait" as const)
  }),
  fc.record({
    is: fc.constantFrom("teapot" as const, "dieTeapot" as const, "failResponse" as const, "dieResponse" as const),
    status: statuses
  })
)

const wraps: fc.Arbitrary<Wrap> = fc.oneof(
  fc.record({
    with: fc.constantFrom("finalizer" as const, "span" as const, "set" as const, "ensuring" as const),
    name: fc.constantFrom("a", "b", "c")
  }),
  fc.record({
    with: fc.constant("prepare" as const),
    how: fc.constantFrom(
      "mark" as const,
      "mark" as const,
      "wait" as const,
      "fail" as const,
      "die" as const,
      "replace" as const
    )
  }),
  fc.record({
    with: fc.constantFrom(
      "yield" as const,
      "async" as const,
      "fork" as const,
      "header" as const,
      "eject" as const,
      "scoped" as const,
      "catchAll" as const,
      "look" as const,
      "uninterruptible" as const,
      "interrupted" as const,
      "route" as const,
      "uninterruptibleRoute" as const
    )
  })
)

const plans: fc.Arbitrary<Plan> = fc.record({ leaf: leaves, wraps: fc.array(wraps, { maxLength: 6 }) })

const arounds: fc.Arbitrary<ReadonlyArray<Around>> = fc.array(
  fc.constantFrom<Around>(
    "before",
    "behind",
    "replace",
    "recover",
    "failBefore",
    "failBehind",
    "dieBehind",
    "unasked",
    "twice",
    "exit",
    "locally",
    "fork",
    "modify",
    "cors"
  ),
  { maxLength: 3 }
)

type App = HttpApp.Default<unknown, Scope.Scope>

/** A cause by its leaves: interrupting fibers, and responses among the defects. */
const shapeOf = (cause: Cause.Cause<unknown>): ReadonlyArray<string> =>
  Cause.reduce(cause, [] as ReadonlyArray<string>, (seen, each) => {
    if (each._tag === "Fail") return Option.some([...seen, `Fail ${nameOf(each.error)}`])
    if (each._tag === "Die") return Option.some([...seen, `Die ${nameOf(each.defect)}`])
    if (each._tag === "Interrupt") {
      return Option.some([
        ...seen,
        each.fiberId === HttpServerError.clientAbortFiberId ? "Interrupt by the client" : "Interrupt"
      ])
    }
    return Option.none()
  })

const nameOf = (value: unknown): string => {
  if (HttpServerResponse.isServerResponse(value)) return `response ${value.status}`
  return value instanceof Error ? `${value.name}: ${value.message}` : String(value)
}

const exitOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit) ? ["Success", nameOf(exit.value)] : ["Failure", ...shapeOf(exit.cause)]

const leafOf = (leaf: Leaf, told: Told): App => {
  switch (leaf.is) {
    case "response":
      return Effect.succeed(HttpServerResponse.text("leaf", { status: leaf.status }))
    case "fail":
      return Effect.fail("mine")
    case "die":
      return Effect.die("mine")
    case "throw":
      return Effect.sync(() => {
        throw new Error("thrown")
      })
    case "interrupt":
      return Effect.interrupt
    case "wait":
      return Effect.interruptible(
        Effect.zipRight(
          Effect.sync(() => told.push("waiting")),
          Effect.never
        )
      )
    case "teapot":
      return Effect.fail(new Teapot({ status: leaf.status }))
    case "dieTeapot":
      return Effect.die(new Teapot({ status: leaf.status }))
    case "failResponse":
      return Effect.fail(HttpServerResponse.text("failed", { status: leaf.status }))
    case "dieResponse":
      return Effect.die(HttpServerResponse.text("died", { status: leaf.status }))
  }
}

const tick = Effect.promise(() => Promise.resolve())

const preparing = (how: (Wrap & { with: "prepare" })["how"], told: Told): HttpApp.PreResponseHandler => {
  const marked = (response: HttpServerResponse.HttpServerResponse) =>
    HttpServerResponse.setHeader(response, "x-mark", `${response.headers["x-mark"] ?? ""}${how[0]}`)
  return (request, response) => {
    told.push(`prepare ${how} ${response.status} ${request.url}`)
    switch (how) {
      case "mark":
        return Effect.sync(() => marked(response))
      case "wait":
        return Effect.as(tick, marked(response))
      case "fail":
        return Effect.fail(new HttpServerError.ResponseError({ request, response, reason: "Decode" }))
      case "die":
        return Effect.die("unprepared")
      case "replace":
        return Effect.succeed(HttpServerResponse.text("replaced", { status: 203 }))
    }
  }
}

const wrapped = (app: App, wrap: Wrap, told: Told): App => {
  const tell = (what: unknown): Effect.Effect<unknown> => Effect.sync(() => told.push(what))
  switch (wrap.with) {
    case "finalizer":
      return Effect.zipRight(
        Effect.addFinalizer((exit) => tell(["finalizer", wrap.name, exitOf(exit)])),
        app
      )
    case "span":
      return Effect.withSpan(app, wrap.name)
    case "set":
      return Effect.zipRight(FiberRef.set(ref, wrap.name), app)
    case "ensuring":
      return Effect.onExit(app, (exit) => tell(["ensuring", wrap.name, exitOf(exit)]))
    case "prepare":
      return Effect.zipRight(HttpApp.appendPreResponseHandler(preparing(wrap.how, told)), app)
    case "yield":
      return Effect.zipRight(Effect.yieldNow(), app)
    case "async":
      return Effect.zipRight(tick, app)
    case "fork":
      return Effect.flatMap(Effect.fork(app), Fiber.join)
    case "header":
      return Effect.flatMap(app, (response) =>
        Effect.map(FiberRef.get(ref), (value) => HttpServerResponse.setHeader(response, "x-ref", value))
      )
    case "eject":
      return Effect.zipRight(Effect.map(Effect.scope, HttpApp.ejectDefaultScopeClose), app)
    case "scoped":
      return Effect.scoped(app)
    case "catchAll":
      return Effect.catchAll(app, (error) =>
        Effect.as(tell(["caught", nameOf(error)]), HttpServerResponse.text("caught", { status: 418 }))
      )
    case "look":
      return Effect.zipRight(
        Effect.flatMap(Effect.all([HttpServerRequest, Effect.option(Effect.currentSpan)]), ([{ method, url }, span]) =>
          tell(["look", method, url, Option.map(span, ({ name }) => name)])
        ),
        app
      )
    case "uninterruptible":
      return Effect.uninterruptible(app)
    case "interrupted":
      return Effect.withFiberRuntime((fiber) => {
        fiber.unsafeInterruptAsFork(FiberId.none)
        return Effect.zipRight(tick, app)
      })
    case "route":
    case "uninterruptibleRoute":
      return HttpRouter.empty.pipe(HttpRouter.all("*", app, { uninterruptible: wrap.with === "uninterruptibleRoute" }))
  }
}

const appOf = ({ leaf, wraps }: Plan, told: Told): App =>
  wraps.reduceRight((app, wrap) => wrapped(app, wrap, told), leafOf(leaf, told))

const aroundOf = (around: Around, told: Told): HttpMiddleware.HttpMiddleware => {
  const tell = (what: unknown): Effect.Effect<unknown> => Effect.sync(() => told.push(what))
  switch (around) {
    case "before":
      return (app) => Effect.zipRight(tell("before"), app)
    case "behind":
      return (app) => Effect.tap(app, ({ status }) => tell(["behind", status]))
    case "replace":
      return (app) => Effect.as(app, HttpServerResponse.text("instead", { status: 201 }))
    case "recover":
      return (app) =>
        Effect.catchAllCause(app, (cause) =>
          Effect.as(tell(["recover", shapeOf(cause)]), HttpServerResponse.text("recovered"))
        )
    case "failBefore":
      return () => Effect.fail(new Teapot({ status: 418 }))
    case "failBehind":
      return (app) => Effect.zipRight(app, Effect.fail("behind"))
    case "dieBehind":
      return (app) => Effect.zipRight(app, Effect.die("behind"))
    case "unasked":
      return () => Effect.succeed(HttpServerResponse.text("unasked", { status: 202 }))
    case "twice":
      return (app) => Effect.zipRight(Effect.exit(app), app)
    case "exit":
      return (app) => Effect.onExit(app, (exit) => tell(["exit", exitOf(exit)]))
    case "locally":
      return (app) => Effect.locally(app, ref, "local")
    case "fork":
      return (app) => Effect.flatMap(Effect.fork(app), Fiber.join)
    case "modify":
      return (app) => Effect.updateService(app, HttpServerRequest, (request) => request.modify({ url: "/modified" }))
    case "cors":
      return HttpMiddleware.cors({ allowedOrigins: ["http://a"] })
  }
}

const middlewareOf = (arounds: ReadonlyArray<Around>, told: Told): HttpMiddleware.HttpMiddleware | undefined => {
  const [first, ...rest] = arounds.map((around) => aroundOf(around, told))
  if (first === undefined) return undefined
  return rest.reduce(
    (inner, outer): HttpMiddleware.HttpMiddleware =>
      (app) =>
        outer(inner(app)),
    first
  )
}

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
type Interrupter = "client" | "server"

interface Outcome {
  readonly written: ReadonlyArray<Written>
  readonly told: Told
  readonly spans: ReadonlyArray<unknown>
  readonly isAnswered: boolean
}

interface Case {
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
  told: Told,
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
    if (!isInterrupted && told.includes("waiting")) {
      isInterrupted = true
      interrupt()
    }
  }
  return exit
}

const idOf = (interrupter: Interrupter): FiberId.FiberId =>
  interrupter === "client" ? HttpServerError.clientAbortFiberId : FiberId.none

const theirs = async (given: Case): Promise<Outcome> => {
  const told: Told = []
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
  const handled = HttpApp.toHandled(appOf(given.plan, told), write, middlewareOf(given.arounds, told)) as Effect.Effect<
    void,
    never,
    HttpServerRequest
  >
  const request = fromWeb(new Request("http://test/path"))
  const runtime = await Effect.runPromise(runtimeOf(given, tracing))
  const fiber = Runtime.runFork(runtime)(Effect.provideService(handled, HttpServerRequest, request))
  await end(fiber, told, () => {
    isDeserted = given.interrupter === "client"
    fiber.unsafeInterruptAsFork(idOf(given.interrupter))
  })
  return { written, told, spans: tracing.ended.all.map(spanShape), isAnswered: written.length > 0 }
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

const ours = async (given: Case, interruptOnDisconnect = false): Promise<Outcome> => {
  const told: Told = []
  const tracing = new Tracing()
  const exchange = new Kept()
  const app = appOf(given.plan, told)
  const middleware = middlewareOf(given.arounds, told)
  const options = { interruptOnDisconnect }
  const handler = middleware === undefined ? toHandler(app, undefined, options) : toHandler(app, middleware, options)
  const nobody = { id: 1, local: Option.none(), remote: Option.none() }
  const head = {
    method: "GET",
    target: "/path",
    url: "/path",
    authority: "test",
    version: HttpVersion.make(1, 1),
    fields: () => []
  } as const
  const request = new RequestImpl(head, nobody, exchange)
  const hosted = handler(request)
  if (!(hosted instanceof AdapterEffect)) throw new Error("not hosted")
  const scope = new LazyScope()
  const runtime = await Effect.runPromise(runtimeOf(given, tracing))
  const fiber = RequestRuntime.make(runtime).forkAdapter(hosted, scope)
  const result = await end(fiber, told, () => {
    exchange.isClientGone = given.interrupter === "client"
    hosted.interrupt(fiber, idOf(given.interrupter))
  })
  const isAnswered = Exit.isSuccess(result) && result.value === exchange.evidence
  // The connection ends what is left of it.
  const rest = scope.closeUnlessEjected(result)
  if (rest !== undefined) await Effect.runPromise(rest)
  return { written: exchange.written, told, spans: tracing.ended.all.map(spanShape), isAnswered }
}

/** An application whose second wait is in a fiber that is not interrupted before it, however it is served. */
const isEndless = ({ arounds, plan }: Case): boolean =>
  plan.leaf.is === "wait" &&
  arounds.includes("twice") &&
  (arounds.includes("fork") || plan.wraps.some((wrap) => wrap.with === "fork"))

/**
 * Whether an application that is interruptible as a whole sends the same: nothing of it waits for an interruption, and none
 * comes to a fiber that it has forked, to an application that is run again, or before a route that does not wait.
 */
const isAlikeInterruptible = ({ arounds, plan }: Case): boolean => {
  const wraps = plan.wraps.map((wrap) => wrap.with)
  return (
    plan.leaf.is !== "wait" &&
    !arounds.some((around) => around === "fork" || around === "twice") &&
    !wraps.includes("fork") &&
    !(wraps.includes("interrupted") && wraps.lastIndexOf("route") > wraps.indexOf("interrupted"))
  )
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  plan: plans,
  arounds,
  interrupter: fc.constantFrom<Interrupter>("client", "server"),
  isTraced: fc.boolean(),
  isDisabled: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true))
})

const cases = anyCase.filter((given) => !isEndless(given))

describe("an application, served by us and by HttpApp.toHandled", () => {
  it("has the same responses, log and traces", { timeout: 60_000 }, async () => {
    let differing = 0
    await fc.assert(
      fc.asyncProperty(cases, async (given) => {
        const [upstream, here] = [await theirs(given), await ours(given)]
        expect(here.told).toStrictEqual(upstream.told)
        expect(here.spans).toStrictEqual(upstream.spans)
        const isDeserted = given.interrupter === "client" && here.told.includes("waiting")
        if (upstream.written.length === 0 && !isDeserted) {
          // Upstream sends this client nothing, since its pre-response handlers let nothing pass. This server sends a 500.
          differing++
          expect(here.written).toHaveLength(1)
          expect(here.written[0]!.status).toBeGreaterThanOrEqual(400)
        } else expect(here.written).toStrictEqual(upstream.written)
        expect(here.isAnswered).toBe(here.written.length === 1)
        if (isAlikeInterruptible(given)) expect((await ours(given, true)).written).toStrictEqual(here.written)
      }),
      { numRuns: 1500 }
    )
    expect(differing).toBeLessThan(400)
  })

  it("differs where it should: the test can fail", async () => {
    const given: Case = {
      plan: { leaf: { is: "response", status: 200 }, wraps: [] },
      arounds: ["behind"],
      interrupter: "client",
      isTraced: true,
      isDisabled: false
    }
    const other: Case = {
      ...given,
      plan: { leaf: { is: "response", status: 404 }, wraps: [{ with: "finalizer", name: "a" }] }
    }
    const [one, two] = [await theirs(given), await ours(other)]
    expect(one.written).not.toStrictEqual(two.written)
    expect(one.told).not.toStrictEqual(two.told)
    expect(one.spans).not.toStrictEqual(two.spans)
  })
})
