/** What a handler may be, and what must not compile as one. Compiled, never run. */
// What must not compile is reported by the language service too.
// @effect-diagnostics missingEffectContext:off missingEffectError:off floatingEffect:off
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { KeyError, ValueError } from "../../src/Errors.js"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import * as HttpMethod from "../../src/HttpMethod.js"
import type { Request } from "../../src/Request.js"
import {
  type BodyWriter,
  type Handler,
  type Responded,
  respond,
  respondStream,
  sendHeaders,
  sendInformational,
  upgrade
} from "../../src/Response.js"
import * as Server from "../../src/Server.js"
import { equals } from "./equals.js"

class Missing extends Data.TaggedError("Missing")<{ readonly id: string }> {}
class Denied extends Data.TaggedError("Denied")<object> {}
class Users extends Context.Tag("Users")<Users, { readonly find: (id: string) => Effect.Effect<string, Missing> }>() {}

/** A method is any token; the nine are a narrower type. */
export const methods = (request: Request): HttpMethod.KnownMethod | "other" => {
  const method: HttpMethod.HttpMethod = request.method
  const own: typeof method = "BREW"
  // @ts-expect-error: it may be any other
  const nine: HttpMethod.KnownMethod = own
  return HttpMethod.isHttpMethod(request.method) ? request.method : nine === "GET" ? nine : "other"
}

const report = { onFailure: () => Effect.void }

/** A user's handler: it needs a service, and fails with an error of its own. */
const user = (request: Request) =>
  Effect.gen(function* () {
    const users = yield* Users
    const id = yield* HttpHeaders.get(request.headers, "x-id")
    return yield* respond(request, 200, yield* users.find(id))
  })

/** One that fails with two errors of the user's. */
const guarded = (request: Request) =>
  Effect.gen(function* () {
    if (HttpHeaders.has(request.headers, "x-evil")) return yield* new Denied()
    return yield* user(request)
  })

export const inference = (): void => {
  equals<ReturnType<typeof guarded>, Effect.Effect<Responded, Denied | Missing | ValueError | KeyError, Users>>()
  // @ts-expect-error: the proof fails where types differ, be it only in one direction
  equals<Effect.Effect<Responded, ValueError>, Effect.Effect<Responded, ValueError | KeyError>>()
  equals<ReturnType<typeof user>, Effect.Effect<Responded, Missing | ValueError | KeyError, Users>>()
}

export const whatCompiles = (): ReadonlyArray<unknown> => [
  Server.serve((request) => respond(request, 200)),
  Server.serve((request) => Effect.flatMap(request.json, (json) => respond(request, 200, JSON.stringify(json)))),
  // KeyError gets the connection, as ValueError is.
  Server.serve((request) =>
    Effect.flatMap(HttpHeaders.get(request.headers, "x"), (value) => respond(request, 200, value))
  ),
  Server.serve(user, report),
  Server.serve((request) => Effect.catchTag(user(request), "Missing", () => respond(request, 404))),
  Server.serve((request) => Effect.catchTags(user(request), { Missing: ({ id }) => respond(request, 404, id) })),
  Server.serve((request) => Effect.orDie(user(request))),
  Server.serve((request) =>
    Effect.gen(function* () {
      if (request.method !== "GET") return yield* respond(request, 405)
      return yield* respond(request, 200)
    })
  ),
  Server.serve(() => Effect.never),
  Server.serve(() => Effect.die("a defect needs no permission")),
  Server.acceptRequest(user, report),
  Server.acceptRequest((request) => respond(request, 200))
]

export const unmappedErrors = (): ReadonlyArray<unknown> => [
  // @ts-expect-error: `Missing` is not mapped
  Server.serve(user),
  // @ts-expect-error: nor with other options than onFailure
  Server.serve(user, { port: 8080 }),
  // @ts-expect-error: nor by acceptRequest
  Server.acceptRequest(user),
  // @ts-expect-error: one of two was caught
  Server.serve((request) => Effect.catchTag(guarded(request), "Denied", () => respond(request, 403))),
  // @ts-expect-error: any failure at all, not only tagged ones
  Server.serve((request) => Effect.zipRight(Effect.fail("text"), respond(request, 200))),
  // @ts-expect-error: the error of a streamed body is the handler's
  Server.serve((request) => respondStream(request, 200, Stream.fail(new Missing({ id: "" })))),
  // @ts-expect-error: so is that of an upgraded connection
  Server.serve((request) => upgrade(request, {}, () => new Missing({ id: "" }))),
  // @ts-expect-error: onFailure does not fail itself
  Server.serve(user, { onFailure: () => new Denied() })
]

export const noAnswer = (): ReadonlyArray<unknown> => [
  // @ts-expect-error: no response was sent
  Server.serve(() => Effect.void),
  // @ts-expect-error: the response was not run
  Server.serve((request) => Effect.sync(() => respond(request, 200))),
  // @ts-expect-error: the evidence was thrown away
  Server.serve((request) => Effect.asVoid(respond(request, 200))),
  Server.serve((request) =>
    // @ts-expect-error: yielded, and not returned
    Effect.gen(function* () {
      yield* respond(request, 200)
    })
  ),
  Server.serve((request) =>
    // @ts-expect-error: returned, and not yielded
    Effect.gen(function* () {
      yield* Effect.void
      return respond(request, 200)
    })
  ),
  Server.serve((request) =>
    // @ts-expect-error: one branch has no response
    Effect.gen(function* () {
      if (request.method === "GET") return yield* respond(request, 200)
    })
  ),
  // @ts-expect-error: a response that may not have been given
  Server.serve((request) => Effect.when(respond(request, 200), () => request.method === "GET")),
  // @ts-expect-error: Option is no evidence, whatever is in it
  Server.serve((request) => Effect.map(respond(request, 200), Option.some)),
  // @ts-expect-error: a head that never ends
  Server.serve((request) => sendHeaders(request, 200)),
  // @ts-expect-error: a piece is not the end
  Server.serve((request) => Effect.flatMap(sendHeaders(request, 200), (body) => body.write("piece"))),
  // @ts-expect-error: an interim response is no response
  Server.serve((request) => sendInformational(request, 103)),
  // @ts-expect-error: a handler gives an Effect, and not a Promise
  Server.serve(async (request) => Effect.runPromise(respond(request, 200)))
]

export const forgedEvidence = (): ReadonlyArray<Responded> => [
  // @ts-expect-error: the brand is missing
  { status: 200, bodyBytes: 0 },
  // @ts-expect-error: a symbol of one's own is not the brand
  { [Symbol.for("effect-asynchttpserver/Responded")]: true, status: 200, bodyBytes: 0 },
  // @ts-expect-error: nothing is no evidence
  undefined
]

export const responding = (request: Request, handler: Handler): void => {
  const whole = respond(request, 200, "content", { "X-A": ["1", "2"] })
  equals<typeof whole, Effect.Effect<Responded, ValueError>>()

  const stream = respondStream(request, 200, Stream.fromEffect(Effect.map(Users, () => new Uint8Array())))
  equals<typeof stream, Effect.Effect<Responded, ValueError, Users>>()
  const failing = respondStream(request, 200, Stream.fail(new Missing({ id: "" })))
  equals<typeof failing, Effect.Effect<Responded, ValueError | Missing>>()

  const head = sendHeaders(request, 200)
  equals<typeof head, Effect.Effect<BodyWriter, ValueError>>()
  const interim = sendInformational(request, 103)
  equals<typeof interim, Effect.Effect<void, ValueError>>()

  const upgraded = upgrade(request, {}, (duplex) => {
    equals<typeof duplex.stream, Stream.Stream<Uint8Array>>()
    return Effect.zipRight(Effect.scope, Effect.zipRight(Users, Effect.fail(new Missing({ id: "" }))))
  })
  equals<typeof upgraded, Effect.Effect<Responded, Missing | ValueError, Users>>()

  equals<ReturnType<typeof handler>, Effect.Effect<Responded, ValueError | KeyError, Scope.Scope>>()

  // @ts-expect-error: text and bytes are content, other values are not
  respond(request, 200, { json: true })
  // @ts-expect-error: 100 and 101 are not for handlers
  sendInformational(request, 100)
  // @ts-expect-error: a header's value is text
  respond(request, 200, "", { "X-A": 1 })
}

export const requests = (request: Request): void => {
  equals<typeof request.bytes, Effect.Effect<Uint8Array, ValueError>>()
  equals<typeof request.text, Effect.Effect<string, ValueError>>()
  equals<typeof request.json, Effect.Effect<unknown, ValueError>>()
  equals<typeof request.stream, Stream.Stream<Uint8Array, ValueError>>()
  equals<typeof request.trailers, Effect.Effect<HttpHeaders.HttpHeaders, ValueError>>()
  equals<typeof request.remoteAddress, Option.Option<string>>()
  equals<typeof request.scheme, "http" | "https">()

  // @ts-expect-error: a request does not change
  request.url = "/other"
  // @ts-expect-error: nor do its headers
  request.headers.size = 0
}
