/** What replies fail with and need, and which routes there are. Compiled, never run. */
// @effect-diagnostics missingEffectContext:off missingEffectError:off floatingEffect:off
import type { PlatformError } from "@effect/platform/Error"
import type { FileSystem } from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { RespondableError, ValueError } from "../../src/Errors.js"
import { type Handler, respond } from "../../src/Response.js"
import * as Server from "../../src/Server.js"
import * as Reply from "../../src/testing/Reply.js"
import { equals } from "./equals.js"

const user = Reply.schemaJson(Schema.Struct({ id: Schema.NumberFromString }))
const late = () => Effect.fail("late" as const)

const sequence = Reply.sequence(Reply.text("a"), Reply.file("b"), late, (request) => respond(request, 200))
const routes = Reply.routes({
  "GET /users/:id": (request, params) => {
    equals<typeof params, { readonly id: string }>()
    return respond(request, 200, params.id)
  },
  "PUT /a/:b/c/:d/*": (request, params) => {
    equals<typeof params, { readonly b: string; readonly d: string; readonly "*": string }>()
    return respond(request, 200)
  },
  "/any": (_, params) => {
    equals<typeof params, Readonly<Record<never, string>>>()
    return late()
  },
  "PROPFIND /a/:b": (_, params) => {
    equals<typeof params, { readonly b: string }>()
    return late()
  },
  "GET /file": Reply.file("a"),
  "GET /user": user({ id: 1 })
})

export const inference = (): void => {
  equals<typeof sequence, Handler<ValueError | PlatformError | "late", FileSystem>>()
  equals<typeof routes, Handler<ValueError | PlatformError | ParseError | "late", FileSystem>>()
  equals<ReturnType<typeof user>, Handler<ValueError | ParseError, never>>()
}

export const needs = Effect.gen(function* () {
  const replies = yield* Reply.queue({ whenEmpty: Reply.unmatched() })
  equals<typeof replies.handler, Handler<RespondableError, Scope.Scope>>()
  const put = replies.enqueue(Reply.text("a"), Reply.file("b"), () => Effect.scope.pipe(Effect.zipRight(late())))
  equals<typeof put, Effect.Effect<void, never, FileSystem>>()
})

export const whatCompiles = [
  Server.serve(Reply.text("a")),
  Server.serve(Reply.routes({ "GET /a": Reply.text("a") }, { unmatched: "reject" })),
  Server.serve(Reply.withHeaders(Reply.unmatched(), { "X-A": "a" }))
]

export const whatDoesNot = () => [
  // @ts-expect-error: no method
  Reply.routes({ "GETT /a": Reply.text("a") }),
  // @ts-expect-error: no path
  Reply.routes({ "GET a": Reply.text("a") }),
  // @ts-expect-error: no such parameter
  Reply.routes({ "GET /:id": (request, { name }) => respond(request, 200, name) }),
  // @ts-expect-error: no response
  Reply.routes({ "GET /:id": () => Effect.void }),
  // @ts-expect-error: not even one
  Reply.sequence(),
  // @ts-expect-error: what the schema does not encode
  user({ id: "1" })
]
