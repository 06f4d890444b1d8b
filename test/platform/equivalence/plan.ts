/** Generated applications and middleware: fast-check prints the plan, and each of the two runs builds the application from it. */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
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
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

class Teapot extends Data.TaggedError("Teapot")<{ readonly status: number }> {
  [Respondable.symbol]() {
    return HttpServerResponse.text("teapot", { status: this.status })
  }
}

/** What both runs record, in order. */
export type Events = Array<unknown>

const ref = FiberRef.unsafeMake("unset")

// What is generated is a plan, which fast-check can print; from it an application is made for each of the two runs.

export type Leaf =
  | { readonly is: "response"; readonly status: number }
  | { readonly is: "fail" | "die" | "throw" | "interrupt" | "wait" }
  | { readonly is: "teapot" | "dieTeapot" | "failResponse" | "dieResponse"; readonly status: number }

export type Wrap =
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

export interface Plan {
  readonly leaf: Leaf
  readonly wraps: ReadonlyArray<Wrap>
}

export type Around =
  | "before"
  | "after"
  | "replace"
  | "recover"
  | "failBefore"
  | "failAfter"
  | "dieAfter"
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

export const plans: fc.Arbitrary<Plan> = fc.record({ leaf: leaves, wraps: fc.array(wraps, { maxLength: 6 }) })

export const arounds: fc.Arbitrary<ReadonlyArray<Around>> = fc.array(
  fc.constantFrom<Around>(
    "before",
    "after",
    "replace",
    "recover",
    "failBefore",
    "failAfter",
    "dieAfter",
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

export type App = HttpApp.Default<unknown, Scope.Scope>

/** A cause by its leaves: interrupting fibers, and responses among the defects. */
export const shapeOf = (cause: Cause.Cause<unknown>): ReadonlyArray<string> =>
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

export const exitOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit) ? ["Success", nameOf(exit.value)] : ["Failure", ...shapeOf(exit.cause)]

const leafOf = (leaf: Leaf, events: Events): App => {
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
          Effect.sync(() => events.push("waiting")),
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

const preparing = (how: (Wrap & { with: "prepare" })["how"], events: Events): HttpApp.PreResponseHandler => {
  const marked = (response: HttpServerResponse.HttpServerResponse) =>
    HttpServerResponse.setHeader(response, "x-mark", `${response.headers["x-mark"] ?? ""}${how[0]}`)
  return (request, response) => {
    events.push(`prepare ${how} ${response.status} ${request.url}`)
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

const wrapped = (app: App, wrap: Wrap, events: Events): App => {
  const tell = (what: unknown): Effect.Effect<unknown> => Effect.sync(() => events.push(what))
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
      return Effect.zipRight(HttpApp.appendPreResponseHandler(preparing(wrap.how, events)), app)
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

export const appOf = ({ leaf, wraps }: Plan, events: Events): App =>
  wraps.reduceRight((app, wrap) => wrapped(app, wrap, events), leafOf(leaf, events))

const aroundOf = (around: Around, events: Events): HttpMiddleware.HttpMiddleware => {
  const tell = (what: unknown): Effect.Effect<unknown> => Effect.sync(() => events.push(what))
  switch (around) {
    case "before":
      return (app) => Effect.zipRight(tell("before"), app)
    case "after":
      return (app) => Effect.tap(app, ({ status }) => tell(["after", status]))
    case "replace":
      return (app) => Effect.as(app, HttpServerResponse.text("instead", { status: 201 }))
    case "recover":
      return (app) =>
        Effect.catchAllCause(app, (cause) =>
          Effect.as(tell(["recover", shapeOf(cause)]), HttpServerResponse.text("recovered"))
        )
    case "failBefore":
      return () => Effect.fail(new Teapot({ status: 418 }))
    case "failAfter":
      return (app) => Effect.zipRight(app, Effect.fail("after"))
    case "dieAfter":
      return (app) => Effect.zipRight(app, Effect.die("after"))
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

export const middlewareOf = (
  arounds: ReadonlyArray<Around>,
  events: Events
): HttpMiddleware.HttpMiddleware | undefined => {
  const [first, ...rest] = arounds.map((around) => aroundOf(around, events))
  if (first === undefined) return undefined
  return rest.reduce(
    (inner, outer): HttpMiddleware.HttpMiddleware =>
      (app) =>
        outer(inner(app)),
    first
  )
}
