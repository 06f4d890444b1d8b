/** Expectations: matching, and the report of one that is not met. */
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

const getElse = Effect.flatMap(HttpClient.get("/else"), (response) => response.text)

/** The report of an expectation at the end of a scope with these requests. */
const reportOf = <E>(
  requests: Effect.Effect<unknown, E, HttpClient.HttpClient | TestServer.TestServer>,
  ...expected: Parameters<typeof TestServer.expect>
) =>
  Effect.scoped(Effect.zipRight(TestServer.expect(...expected), requests)).pipe(
    Effect.exit,
    Effect.map((exit) => (Exit.isSuccess(exit) ? "met" : String(Cause.squash(exit.cause))))
  )

overBoth(({ layer }) => {
  const live = layer((request) => Response.respond(request, 201))

  it.scoped("each criterion is met, or reported", () =>
    Effect.gen(function* () {
      const body = '{"name":"Ann","age":3}'
      const rows: ReadonlyArray<readonly [met: Expectation.Matcher, unmet: Expectation.Matcher, why: string]> = [
        [{ method: "POST" }, { method: "PUT" }, '✗ method "PUT"\n        actual: "POST"'],
        [{ path: "/users" }, { path: "/user" }, '✗ path "/user"\n        actual: "/users"'],
        [{ path: /^\/u/g }, { path: /^u/ }, '✗ path /^u/\n        actual: "/users"'],
        [{ query: { page: "2" } }, { query: { page: "3" } }, '✗ query page "3"\n        actual: "1", "2"'],
        [{ query: { order: null } }, { query: { page: null } }, '✗ query page absent\n        actual: "1", "2"'],
        [
          { headers: { "x-id": null } },
          { headers: { authorization: null } },
          '✗ header authorization absent\n        actual: "Bearer t"'
        ],
        [{ query: { sort: "name" } }, { query: { order: "name" } }, '✗ query order "name"\n        actual: (missing)'],
        [
          { headers: { AUTHORIZATION: /^Bearer / } },
          { headers: { "x-id": "1" } },
          '✗ header x-id "1"\n        actual: (missing)'
        ],
        [
          { text: (text) => text.includes("Ann") },
          { text: "" },
          '✗ body ""\n        actual: "{\\"name\\":\\"Ann\\",\\"age\\":3}"'
        ],
        [
          { json: { age: 3, name: "Ann" } },
          { json: { name: "Ann", tags: ["a"] } },
          '✗ JSON {"name":"Ann","tags":["a"]}\n        - $.tags: ["a"]\n        + $.tags: (missing)\n        - $.age: (missing)\n        + $.age: 3'
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
          `✗ body isList\n        actual: ${JSON.stringify(body)}\n        predicate threw: SyntaxError`
        ],
        [
          { where: ({ connection }, text) => connection === 0 && text === body },
          {
            where: function isSecond({ exchangeIndex: exchange }) {
              return exchange === 1_000
            }
          },
          "✗ isSecond\n        predicate returned false"
        ]
      ]
      for (const [met, unmet, why] of rows) {
        expect(yield* reportOf(post(body), met)).toBe("met")
        expect(yield* reportOf(post(body), unmet)).toContain(`    ${why}`)
      }
    }).pipe(Effect.provide(live))
  )

  it.scoped("a report has every request with its whole body, the closest match first", () =>
    Effect.gen(function* () {
      const long = `{"text":"${"x".repeat(500)}"}`
      const report = yield* reportOf(Effect.zipRight(getElse, post(long)), {
        method: "POST",
        path: "/users",
        json: { text: "y" }
      })
      expect(report.split("\n")).toStrictEqual([
        "ExpectationError: expected 1 matching request, received 0 (of 2)",
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
        '        actual: "GET"',
        '    ✗ path "/users"',
        '        actual: "/else"',
        '    ✗ JSON {"text":"y"}',
        "        no body"
      ])
    }).pipe(Effect.provide(live))
  )

  it.scoped("a report lists the criteria when no request was received", () =>
    Effect.gen(function* () {
      const report = yield* reportOf(Effect.void, {
        method: "POST",
        path: /^\/b/,
        headers: { Authorization: "Bearer t" }
      })
      expect(report.split("\n")).toStrictEqual([
        "ExpectationError: expected 1 matching request, received 0 (of 0)",
        '  expected: method "POST"',
        "  expected: path /^\\/b/",
        '  expected: header Authorization "Bearer t"'
      ])
    }).pipe(Effect.provide(live))
  )

  it.scoped("counts the matching requests within the scope only", () =>
    Effect.gen(function* () {
      yield* post("before")
      const twice = Effect.zipRight(post("1"), post("2"))
      expect(yield* reportOf(twice, { method: "POST" }, 2)).toBe("met")
      expect(yield* reportOf(twice, { method: "POST" })).toContain("expected 1 matching request, received 2 (of 2)")
      expect(yield* reportOf(twice, { method: "PUT" }, 0)).toBe("met")
      expect(yield* reportOf(twice, {}, 0)).toContain("expected 0 matching requests, received 2 (of 2)")
      expect(yield* reportOf(twice, {}, { atLeast: 1 })).toBe("met")
      expect(yield* reportOf(twice, {}, { atLeast: 3 })).toContain("expected at least 3 matching requests, received 2")
      expect(yield* reportOf(twice, {}, { atMost: 1 })).toContain("expected at most 1 matching request, received 2")
      expect(yield* reportOf(twice, {}, { atLeast: 3, atMost: 4 })).toContain(
        "expected 3 to 4 matching requests, received 2"
      )
    }).pipe(Effect.provide(live))
  )

  it.scoped("a predicate that throws for one request is met by another", () =>
    Effect.gen(function* () {
      const isThird = (_: unknown, text: string) => JSON.parse(text).age === 3
      expect(yield* reportOf(Effect.zipRight(getElse, post('{"age":3}')), { where: isThird })).toBe("met")
    }).pipe(Effect.provide(live))
  )

  it.scoped("a test that fails itself keeps its failure, and the report is printed", () =>
    Effect.gen(function* () {
      const errors = vi.spyOn(console, "error").mockImplementation(() => {})
      yield* Effect.addFinalizer(() => Effect.sync(() => errors.mockRestore()))
      const failed = Effect.scoped(Effect.zipRight(TestServer.expect({}), Effect.fail("mine" as const)))
      expect(yield* Effect.exit(failed)).toStrictEqual(Exit.fail("mine"))
      expect(String(errors.mock.calls[0])).toContain(
        "\nExpectationError: expected 1 matching request, received 0 (of 0)"
      )
    }).pipe(Effect.provide(live))
  )

  it.scoped("a request in transit at the end of the scope is counted", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const outer = yield* Effect.scope
      const sent = Effect.forkIn(client.get("/"), outer)
      expect(yield* reportOf(sent, {})).toBe("met")
    }).pipe(Effect.provide(live))
  )
})

describe("an expectation that is not met", () => {
  it.scoped("has the stack of the call of expect", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const stacks = yield* Effect.forEach([TestServer.expect({}), server.expect({})], (expected) =>
        Effect.map(Effect.exit(Effect.scoped(expected)), (exit) =>
          Exit.isFailure(exit) ? (Cause.prettyErrors(exit.cause)[0]?.stack ?? "").split("\n") : []
        )
      )
      for (const [message, frame] of stacks) {
        expect(message).toBe("ExpectationError: expected 1 matching request, received 0 (of 0)")
        expect(frame).toContain("expectation.test.ts:")
      }
    }).pipe(Effect.provide(TestServer.layerMemory((request) => Response.respond(request, 200))))
  )

  it.scoped("has the received requests", () =>
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
