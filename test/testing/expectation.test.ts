/** Expectations: what meets them, and what is said of what does not. */
import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { describe, expect, it, vi } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import { Response } from "effect-asynchttpserver"
import { Expectation, TestServer } from "effect-asynchttpserver/testing"
import { overBoth } from "./both.js"

const User = Schema.Struct({ name: Schema.String, age: Schema.Number }).annotations({ identifier: "User" })

const post = (body: string) =>
  HttpClient.execute(
    HttpClientRequest.post("/users?page=1&page=2&sort=name").pipe(
      HttpClientRequest.setBody(HttpBody.text(body, "application/json")),
      HttpClientRequest.setHeader("Authorization", "Bearer t")
    )
  ).pipe(Effect.flatMap((response) => response.text))

const got = Effect.flatMap(HttpClient.get("/else"), (response) => response.text)

/** What an expectation says at the end of a scope in which that was asked. */
const said = <E>(
  asked: Effect.Effect<unknown, E, HttpClient.HttpClient | TestServer.TestServer>,
  ...expected: Parameters<typeof TestServer.expect>
) =>
  Effect.scoped(Effect.zipRight(TestServer.expect(...expected), asked)).pipe(
    Effect.exit,
    Effect.map((exit) => (Exit.isSuccess(exit) ? "met" : String(Cause.squash(exit.cause))))
  )

overBoth(({ layer }) => {
  const live = layer((request) => Response.respond(request, 201))

  it.scoped("each criterion is met, or named", () =>
    Effect.gen(function* () {
      const body = '{"name":"Ann","age":3}'
      const rows: ReadonlyArray<readonly [met: Expectation.Matcher, unmet: Expectation.Matcher, why: string]> = [
        [{ method: "POST" }, { method: "PUT" }, '✗ method "PUT"\n        it was "POST"'],
        [{ path: "/users" }, { path: "/user" }, '✗ path "/user"\n        it was "/users"'],
        [{ path: /^\/u/g }, { path: /^u/ }, '✗ path /^u/\n        it was "/users"'],
        [{ query: { page: "2" } }, { query: { page: "3" } }, '✗ query page "3"\n        it was "1", "2"'],
        [{ query: { order: null } }, { query: { page: null } }, '✗ query page not sent\n        it was "1", "2"'],
        [
          { headers: { "x-id": null } },
          { headers: { authorization: null } },
          '✗ header authorization not sent\n        it was "Bearer t"'
        ],
        [{ query: { sort: "name" } }, { query: { order: "name" } }, '✗ query order "name"\n        it was not sent'],
        [
          { headers: { AUTHORIZATION: /^Bearer / } },
          { headers: { "x-id": "1" } },
          '✗ header x-id "1"\n        it was not sent'
        ],
        [
          { text: (text) => text.includes("Ann") },
          { text: "" },
          '✗ body ""\n        it was "{\\"name\\":\\"Ann\\",\\"age\\":3}"'
        ],
        [
          { json: { age: 3, name: "Ann" } },
          { json: { name: "Ann", tags: ["a"] } },
          '✗ JSON {"name":"Ann","tags":["a"]}\n        - $.tags: ["a"]\n        + $.tags: nothing\n        - $.age: nothing\n        + $.age: 3'
        ],
        [
          { schema: User },
          { schema: Schema.Struct({ name: Schema.Number }) },
          '✗ JSON by { readonly name: number }\n        { readonly name: number }\n        └─ ["name"]\n           └─ Expected number, actual "Ann"'
        ],
        [
          { text: (text) => text.startsWith("{") },
          {
            text: function isList(text) {
              return JSON.parse(`[${text}`).length === 1
            }
          },
          `✗ body isList\n        it was ${JSON.stringify(body)}\n        it throws: SyntaxError`
        ],
        [
          { where: ({ connection }, text) => connection === 0 && text === body },
          {
            where: function isSecond({ exchangeIndex: exchange }) {
              return exchange === 1_000
            }
          },
          "✗ isSecond\n        it is not so"
        ]
      ]
      for (const [met, unmet, why] of rows) {
        expect(yield* said(post(body), met)).toBe("met")
        expect(yield* said(post(body), unmet)).toContain(`    ${why}`)
      }
    }).pipe(Effect.provide(live))
  )

  it.scoped("a report has every request, the nearest first, and bodies whole", () =>
    Effect.gen(function* () {
      const long = `{"text":"${"x".repeat(500)}"}`
      const report = yield* said(Effect.zipRight(got, post(long)), {
        method: "POST",
        path: "/users",
        json: { text: "y" }
      })
      expect(report.split("\n")).toStrictEqual([
        "ExpectationError: expected 1 request, got 0 of the 2 that came",
        "  POST /users?page=1&page=2&sort=name (connection 0, exchange 1): 201",
        '    ✓ method "POST"',
        '    ✓ path "/users"',
        '    ✗ JSON {"text":"y"}',
        '        - $.text: "y"',
        `        + $.text: "${"x".repeat(500)}"`,
        "    body:",
        `      ${long}`,
        "  GET /else (connection 0, exchange 0): 201",
        '    ✗ method "POST"',
        '        it was "GET"',
        '    ✗ path "/users"',
        '        it was "/else"',
        '    ✗ JSON {"text":"y"}',
        "        no body was sent"
      ])
    }).pipe(Effect.provide(live))
  )

  it.scoped("a report says what was wanted when nothing came", () =>
    Effect.gen(function* () {
      const report = yield* said(Effect.void, { method: "POST", path: /^\/b/, headers: { Authorization: "Bearer t" } })
      expect(report.split("\n")).toStrictEqual([
        "ExpectationError: expected 1 request, got 0 of the 0 that came",
        '  wanted: method "POST"',
        "  wanted: path /^\\/b/",
        '  wanted: header Authorization "Bearer t"'
      ])
    }).pipe(Effect.provide(live))
  )

  it.scoped("how often counts, and only what comes within the scope", () =>
    Effect.gen(function* () {
      yield* post("before")
      const twice = Effect.zipRight(post("1"), post("2"))
      expect(yield* said(twice, { method: "POST" }, 2)).toBe("met")
      expect(yield* said(twice, { method: "POST" })).toContain("expected 1 request, got 2 of the 2 that came")
      expect(yield* said(twice, { method: "PUT" }, 0)).toBe("met")
      expect(yield* said(twice, {}, 0)).toContain("expected 0 requests, got 2 of the 2")
      expect(yield* said(twice, {}, { atLeast: 1 })).toBe("met")
      expect(yield* said(twice, {}, { atLeast: 3 })).toContain("expected at least 3 requests, got 2")
      expect(yield* said(twice, {}, { atMost: 1 })).toContain("expected at most 1 request, got 2")
      expect(yield* said(twice, {}, { atLeast: 3, atMost: 4 })).toContain("expected 3 to 4 requests, got 2")
    }).pipe(Effect.provide(live))
  )

  it.scoped("a predicate that throws at one request is met by another", () =>
    Effect.gen(function* () {
      const isThird = (_: unknown, text: string) => JSON.parse(text).age === 3
      expect(yield* said(Effect.zipRight(got, post('{"age":3}')), { where: isThird })).toBe("met")
    }).pipe(Effect.provide(live))
  )

  it.scoped("a test that fails by itself keeps its failure, and is told besides", () =>
    Effect.gen(function* () {
      const errors = vi.spyOn(console, "error").mockImplementation(() => {})
      yield* Effect.addFinalizer(() => Effect.sync(() => errors.mockRestore()))
      const failed = Effect.scoped(Effect.zipRight(TestServer.expect({}), Effect.fail("mine" as const)))
      expect(yield* Effect.exit(failed)).toStrictEqual(Exit.fail("mine"))
      expect(String(errors.mock.calls[0])).toContain("\nExpectationError: expected 1 request, got 0 of the 0")
    }).pipe(Effect.provide(live))
  )

  it.scoped("a request that is on its way at the end of the scope is waited for", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const outer = yield* Effect.scope
      const sent = Effect.forkIn(client.get("/"), outer)
      expect(yield* said(sent, {})).toBe("met")
    }).pipe(Effect.provide(live))
  )
})

describe("an expectation that is not met", () => {
  it.scoped("points at the line of the test that has said it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const stacks = yield* Effect.forEach([TestServer.expect({}), server.expect({})], (expected) =>
        Effect.map(Effect.exit(Effect.scoped(expected)), (exit) =>
          Exit.isFailure(exit) ? (Cause.prettyErrors(exit.cause)[0]?.stack ?? "").split("\n") : []
        )
      )
      for (const [message, frame] of stacks) {
        expect(message).toBe("ExpectationError: expected 1 request, got 0 of the 0 that came")
        expect(frame).toContain("expectation.test.ts:")
      }
    }).pipe(Effect.provide(TestServer.layerMemory((request) => Response.respond(request, 200))))
  )

  it.scoped("has the requests that came", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Effect.scoped(Effect.zipRight(TestServer.expect({ path: "/" }), HttpClient.get("/else")))
      )
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      expect(error).toBeInstanceOf(Expectation.ExpectationError)
      expect(error).toMatchObject({ matcher: { path: "/" }, times: 1, requests: [{ path: "/else" }] })
    }).pipe(Effect.provide(TestServer.layerMemory((request) => Response.respond(request, 200))))
  )
})
