/** The responses of replies, and the selection among them. */
import { FileSystem, HttpClient, HttpClientRequest, type HttpClientResponse } from "@effect/platform"
import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schedule, Schema, Stream } from "effect"
import { Response } from "effect-asynchttpserver"
import { Failures, Reply, TestServer } from "effect-asynchttpserver/testing"
import { overBoth } from "./both.js"

const shown = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.map(response.text, (text) => `${response.status} ${response.headers["content-type"] ?? "-"} ${text}`)

const get = (path = "/") => Effect.flatMap(HttpClient.get(path), shown)

const defectsOf = <A, E>(exit: Exit.Exit<A, E>): ReadonlyArray<unknown> =>
  Exit.isSuccess(exit) ? [] : Array.from(Cause.defects(exit.cause))

overBoth(({ layer, make }) => {
  describe("a reply", () => {
    const rows: ReadonlyArray<readonly [name: string, reply: Response.Handler, seen: string]> = [
      ["text", Reply.text("grüß"), "200 text/plain; charset=utf-8 grüß"],
      [
        "text with options",
        Reply.text("<p>", { status: 201, headers: { "content-type": "text/html" } }),
        "201 text/html <p>"
      ],
      ["json", Reply.json({ a: [1, null] }), '200 application/json {"a":[1,null]}'],
      ["json of nothing", Reply.json(undefined), "200 application/json null"],
      ["bytes", Reply.bytes(Buffer.from("abc")), "200 application/octet-stream abc"],
      ["status", Reply.status(503), "503 - "],
      [
        "stream",
        Reply.stream(Stream.encodeText(Stream.make("a", "b")), { status: 202 }),
        "202 application/octet-stream ab"
      ],
      ["redirect", Reply.redirect(new URL("http://a/b")), "302 - "],
      [
        "events",
        Reply.events(
          Stream.make<[string, Reply.Event]>("one\ntwo", { data: "", event: "end", id: "3", retry: "2 seconds" })
        ),
        "200 text/event-stream data: one\ndata: two\n\nevent: end\nid: 3\nretry: 2000\ndata: \n\n"
      ]
    ]

    it.scoped.each(rows)("%s", ([, reply, seen]) =>
      Effect.gen(function* () {
        expect(yield* get()).toBe(seen)
        const head = yield* HttpClient.head("/")
        expect(yield* shown(head)).toBe(seen.replace(/^(\S+ \S+(?: charset=\S+)?) [\s\S]*$/, "$1 "))
      }).pipe(Effect.provide(layer(reply)))
    )

    it.scoped("of a Schema encodes its value, or fails the test", () =>
      Effect.gen(function* () {
        const reply = Reply.schemaJson(Schema.Struct({ at: Schema.Date, n: Schema.Int }))
        const good = yield* get().pipe(Effect.provide(layer(reply({ at: new Date(0), n: 1 }))))
        expect(good).toBe('200 application/json {"at":"1970-01-01T00:00:00.000Z","n":1}')
        const bad = yield* get().pipe(Effect.provide(layer(reply({ at: new Date(0), n: 1.5 }))), Effect.exit)
        expect(defectsOf(bad)[0]).toMatchObject({ _tag: "ParseError" })
      })
    )

    it.scoped("of a value that JSON cannot represent fails the test", () =>
      Effect.gen(function* () {
        const circle: { self?: unknown } = {}
        circle.self = circle
        const exit = yield* Effect.exit(Effect.provide(get(), layer(Reply.json(circle))))
        expect(defectsOf(exit)[0]).toBeInstanceOf(TypeError)
      })
    )

    it.scoped("of events rejects line breaks in the event type or ID, and fails the test", () =>
      Effect.gen(function* () {
        const forged: ReadonlyArray<Reply.Event> = [
          { data: "a", event: "b\ndata: c" },
          { data: "a", id: "1\r\n\r\ndata: c" },
          { data: "a", event: "b\r" }
        ]
        for (const event of forged) {
          const exit = yield* Effect.exit(Effect.provide(Effect.ignore(get()), layer(Reply.events(Stream.make(event)))))
          expect(String(defectsOf(exit)[0])).toContain(
            "The event and id of a server-sent event must not contain line breaks"
          )
        }
        const rounded = Reply.events(Stream.make({ data: "", retry: "1500 micros" } as const))
        expect(yield* Effect.provide(get(), layer(rounded))).toContain("\nretry: 2\n".slice(1))
      })
    )

    it.scoped("of events sends the head before the first event", () =>
      Effect.gen(function* () {
        const response = yield* HttpClient.get("/")
        expect(response.status).toBe(200)
        const fiber = yield* Effect.fork(response.text)
        yield* TestServer.advance("1 minute")
        expect(yield* Fiber.join(fiber)).toBe("data: late\n\n")
      }).pipe(
        Effect.provide(layer(Reply.events(Stream.make("late").pipe(Stream.schedule(Schedule.spaced("1 minute"))))))
      )
    )

    it.scoped("of a file has its length, and fails the test if the file does not exist", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fs.makeTempFileScoped()
        yield* fs.writeFileString(path, "0123456789")
        const server = yield* make(Reply.file(path, { headers: { "Content-Type": "text/plain" } }))
        const response = yield* server.client.get("/")
        expect(response.headers["content-length"]).toBe("10")
        expect(yield* shown(response)).toBe("200 text/plain 0123456789")
        const exit = yield* Effect.exit(
          Effect.scoped(Effect.flatMap(make(Reply.file(`${path}.gone`)), ({ client }) => client.get("/")))
        )
        expect(defectsOf(exit)[0]).toMatchObject({ _tag: "SystemError", reason: "NotFound" })
      }).pipe(Effect.provide(NodeFileSystem.layer))
    )
  })

  it.scoped("withHeaders adds to responses of every kind, and replaces nothing", () =>
    Effect.gen(function* () {
      const added = Reply.withHeaders({ "X-A": "added", "Content-Type": "no/no" })
      for (const reply of [Reply.text("a"), Reply.stream(Stream.encodeText(Stream.make("a")))]) {
        const server = yield* make(added(reply))
        const { headers } = yield* server.client.get("/")
        expect(headers["x-a"]).toBe("added")
        expect(headers["content-type"]).not.toBe("no/no")
      }
      const server = yield* make(
        added((request) => Effect.flatMap(request.text, (text) => Response.respond(request, 200, text)))
      )
      const request = HttpClientRequest.bodyText(HttpClientRequest.post("/"), "body")
      expect(yield* Effect.flatMap(server.client.execute(request), shown)).toBe("200 no/no body")
    })
  )

  describe("sequence", () => {
    const replies = Reply.sequence(Reply.status(503), Reply.text("a"))

    it.scoped("responds in order, and repeats the last reply", () =>
      Effect.gen(function* () {
        const seen = yield* Effect.all([get(), get(), get()])
        expect(seen.map((each) => each.slice(0, 3))).toStrictEqual(["503", "200", "200"])
      }).pipe(Effect.provide(layer(replies)))
    )

    it.scoped("counts separately for each server", () =>
      Effect.gen(function* () {
        const [a, b] = [yield* make(replies), yield* make(Reply.withHeaders(replies, { "X-A": "b" }))]
        const statuses = yield* Effect.forEach([a, b, a], ({ client }) => client.get("/"))
        expect(statuses.map(({ status }) => status)).toStrictEqual([503, 503, 200])
      })
    )
  })

  describe("queue", () => {
    it.scoped("responds to waiting requests in order, and skips disconnected clients", () =>
      Effect.gen(function* () {
        const replies = yield* Reply.queue()
        const server = yield* make(replies.handler)
        const asked = (path: string) =>
          Effect.zipLeft(Effect.fork(Effect.flatMap(server.client.get(path), shown)), server.takeRequest)
        const [left, first, second] = [yield* asked("/left"), yield* asked("/first"), yield* asked("/second")]
        yield* Fiber.interrupt(left)
        yield* server.settle
        yield* replies.enqueue(Reply.text("1"), Reply.text("2"), Reply.text("3"))
        expect(yield* Fiber.join(first)).toMatch(/1$/)
        expect(yield* Fiber.join(second)).toMatch(/2$/)
        expect(yield* replies.size).toBe(1)
        expect(yield* Fiber.join(yield* asked("/third"))).toMatch(/3$/)
      })
    )

    it.scoped("runs with the context of enqueue, and fails the test with errors without a status", () =>
      Effect.gen(function* () {
        const replies = yield* Reply.queue({ whenEmpty: Reply.unmatched("a reply") })
        const exit = yield* Effect.exit(
          Effect.scoped(
            Effect.gen(function* () {
              const server = yield* make(replies.handler)
              yield* Effect.provide(
                replies.enqueue(Reply.text("1"), Reply.file("/nowhere/at/all")),
                NodeFileSystem.layer
              )
              const statuses = Effect.map(server.client.get("/"), ({ status }) => status)
              expect(yield* Effect.all([statuses, statuses, statuses])).toStrictEqual([200, 500, 501])
            })
          )
        )
        expect(defectsOf(exit)).toMatchObject([{ reason: "NotFound" }, { _tag: "UnmatchedRequestError" }])
      })
    )
  })

  it.scoped("a server responds with enqueued replies before its handler", () =>
    Effect.gen(function* () {
      yield* TestServer.enqueue(Reply.status(503), Reply.text("once"))
      const seen = yield* Effect.all([get(), get(), get()])
      expect((yield* TestServer.received).map(({ path }) => path)).toStrictEqual(["/", "/", "/"])
      expect(seen.map((each) => each.replace(/ .* /, " "))).toStrictEqual(["503 ", "200 once", "200 usual"])
    }).pipe(Effect.provide(layer(Reply.text("usual"))))
  )

  describe("routes", () => {
    const users = Reply.routes(
      {
        "/files/*": (request, params) => Response.respond(request, 200, `${request.method} ${params["*"]}`),
        "GET /": (request) => Response.respond(request, 200, "root"),
        "GET /users/:id": (request, { id }) => Response.respond(request, 200, `user ${id}`),
        "GET /users/me": (request) => Response.respond(request, 200, "me"),
        "HEAD /users/me": Reply.status(204),
        "PUT /users/:user/keys/:key": (request, { key, user }) => Response.respond(request, 200, `${user}: ${key}`)
      },
      { unmatched: "reject" }
    )

    const rows: ReadonlyArray<readonly [method: "GET" | "HEAD" | "PUT", path: string, seen: string]> = [
      ["GET", "/", "200 root"],
      ["GET", "/?a=/users/1", "200 root"],
      ["GET", "/users/a%2Fb%20c", "200 user a/b c"],
      ["GET", "/users/%zz", "200 user %zz"],
      ["GET", "/users/me", "200 me"],
      ["GET", "/users/m%65", "200 me"],
      ["HEAD", "/users/me", "204 "],
      ["HEAD", "/users/1", "200 "],
      ["PUT", "/users/1/keys/a:b", "200 1: a:b"],
      ["PUT", "/files/a/b%20c", "200 PUT a/b c"],
      ["GET", "/files/", "200 GET "],
      ["GET", "/files", "404 "],
      ["GET", "/users/", "404 "],
      ["GET", "/users/1/", "404 "],
      ["PUT", "/users/1", "405  HEAD, GET"],
      ["GET", "/users/1/keys/2", "405  PUT"]
    ]

    it.scoped.each(rows)("%s %s", ([method, path, seen]) =>
      Effect.gen(function* () {
        const response = yield* HttpClient.execute(HttpClientRequest.make(method)(path))
        const { allow } = response.headers
        const text = yield* response.text
        expect(`${response.status} ${text}${allow === undefined ? "" : ` ${allow}`}`).toBe(seen)
      }).pipe(Effect.provide(layer(users)))
    )

    it.scoped("fails the test for an unmatched request, and sends the client the routes, the closest match first", () =>
      Effect.gen(function* () {
        const routes = Reply.routes({ "POST /orders": Reply.status(201), "GET /users/:id": Reply.status(200) })
        let seen = ""
        const exit = yield* get("/user/17?x").pipe(
          Effect.tap((received) => Effect.sync(() => (seen = received))),
          Effect.provide(layer(routes)),
          Effect.exit
        )
        const text = "Unhandled request: GET /user/17?x, expected:\n  GET /users/:id (closest match)\n  POST /orders"
        expect(seen).toBe(`501 text/plain; charset=utf-8 ${text}\n`)
        const [defect] = defectsOf(exit)
        expect(defect).toBeInstanceOf(Failures.UnmatchedRequestError)
        expect(defect).toMatchObject({ method: "GET", target: "/user/17?x", message: text })
        // The stack points at the table of routes in the test.
        const stack = String((defect as Error).stack).slice(`UnmatchedRequestError: ${text}\n`.length)
        expect(stack.split("\n")[0]).toContain("reply.test.ts:")
      })
    )

    it.scoped("passes an unmatched request to a handler", () =>
      Effect.map(get("/elsewhere"), (seen) => expect(seen).toMatch(/^200 .* other$/)).pipe(
        Effect.provide(layer(Reply.routes({ "GET /": Reply.status(204) }, { unmatched: Reply.text("other") })))
      )
    )
  })
})

describe("routes", () => {
  it("rejects an invalid route", () => {
    // A query is not part of a path: such a route would never match.
    expect(() => Reply.routes({ "GET /a?b=c": Reply.status(200) })).toThrow("GET /a?b=c")
    expect(() => Reply.routes({ "GET /a#b": Reply.status(200) })).toThrow("GET /a#b")
    expect(() => Reply.routes({ "GET /users/:/keys": Reply.status(200) })).toThrow("GET /users/:/keys")
    expect(() => Reply.routes({ "/a/*/b": Reply.status(200) })).toThrow("/a/*/b")
    expect(() => Reply.routes({ "GET /a b": Reply.status(200) })).toThrow("GET /a b")
  })
})
