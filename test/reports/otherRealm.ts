/**
 * What the server and the test kit do where a test runner has put a window's globals instead of Node's: run by one
 * test file for each environment.
 */
import { HttpBody, HttpClientRequest, HttpServerResponse } from "@effect/platform"
import { Effect, type Scope, Stream } from "effect"
import { HttpHeaders, Response } from "effect-asynchttpserver"
import { Fault, Reply, TestServer } from "effect-asynchttpserver/testing"
import { describe, expect, it } from "vitest"
import { serving as servingApp } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { ask, get, requestText, withBody } from "../wire/rawConnection.js"

const run = <A>(effect: Effect.Effect<A, unknown, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))

/** Bytes as Node makes them, and as the window does. */
const bytes: { readonly [name: string]: () => Uint8Array } = {
  "a Buffer": () => Buffer.from("abc"),
  "a Uint8Array of the window": () => new Uint8Array([97, 98, 99]),
  "bytes of TextEncoder": () => new TextEncoder().encode("abc")
}

export const inRealm = (environment: string): void => {
  it(`runs in ${environment}`, () => {
    expect(globalThis).toHaveProperty("document")
  })

  describe("an application", () => {
    it.each([
      ["text", () => HttpServerResponse.text("abc")],
      ["json", () => HttpServerResponse.unsafeJson("abc")],
      ...Object.entries(bytes).map(([name, make]) => [name, () => HttpServerResponse.uint8Array(make())] as const),
      ["a stream", () => HttpServerResponse.stream(Stream.make(Buffer.from("a"), new Uint8Array([98, 99])))]
    ] as const)("responds to %s", (_, make) =>
      run(
        Effect.gen(function* () {
          const response = yield* get(yield* servingApp(Effect.sync(make)))
          expect([response.status, response.text.replaceAll('"', "")]).toStrictEqual([200, "abc"])
        })
      )
    )
  })

  describe("a handler", () => {
    it.each(Object.entries(bytes))("responds with %s", (_, make) =>
      run(
        Effect.gen(function* () {
          const { port } = yield* serving((request) => Response.respond(request, 200, make()))
          expect((yield* get(port)).text).toBe("abc")
        })
      )
    )

    it.each(Object.entries(bytes))("streams %s", (_, make) =>
      run(
        Effect.gen(function* () {
          const { port } = yield* serving((request) => Response.respondStream(request, 200, Stream.make(make())))
          expect((yield* get(port)).text).toBe("abc")
        })
      )
    )

    it("reads a body as text, as JSON, and in pieces", () =>
      run(
        Effect.gen(function* () {
          const { port } = yield* serving((request) =>
            Effect.gen(function* () {
              const text = yield* request.text
              const json = yield* request.json
              return yield* Response.respond(request, 200, `${text} ${JSON.stringify(json)}`)
            })
          )
          expect((yield* ask(port, withBody("POST /", '{"a":1}'), "POST")).text).toBe('{"a":1} {"a":1}')
        })
      ))

    it("that fails with an error of this package gives a response with its status", () =>
      run(
        Effect.gen(function* () {
          const { port } = yield* serving((request) =>
            Effect.flatMap(request.json, () => Response.respond(request, 200))
          )
          expect((yield* ask(port, withBody("POST /", "no"), "POST")).status).toBe(400)
          expect((yield* ask(port, requestText("GET /"))).status).toBe(400)
        })
      ))
  })

  for (const [where, make] of [
    ["over loopback", TestServer.make],
    ["in memory", TestServer.makeMemory]
  ] as const) {
    describe(`the test kit ${where}`, () => {
      it.each(Object.entries(bytes))("replies with %s", (_, bytesOf) =>
        run(
          Effect.gen(function* () {
            const server = yield* make(Reply.bytes(bytesOf()))
            expect(yield* Effect.flatMap(server.client.get("/"), (response) => response.text)).toBe("abc")
          })
        )
      )

      it.each(Object.entries(bytes))("breaks with raw %s", (_, bytesOf) =>
        run(
          Effect.gen(function* () {
            const raw = Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), bytesOf()])
            const server = yield* make(Fault.raw(new Uint8Array(raw)))
            expect(yield* Effect.flatMap(server.client.get("/"), (response) => response.text)).toBe("abc")
          })
        )
      )

      it("sends bodies, and matches what was expected", () =>
        run(
          Effect.gen(function* () {
            const server = yield* make((request) =>
              Effect.flatMap(request.text, (text) => Response.respond(request, 200, text))
            )
            yield* server.expect({ method: "POST", path: /^\/echo$/, text: /b/ }, 8)
            for (const body of [
              HttpBody.text("abc"),
              ...Object.values(bytes).map((bytesOf) => HttpBody.uint8Array(bytesOf())),
              ...Object.values(bytes).map((bytesOf) => HttpBody.raw(bytesOf())),
              HttpBody.stream(Stream.make(Buffer.from("abc")))
            ]) {
              const request = HttpClientRequest.setBody(HttpClientRequest.post("/echo"), body)
              expect(yield* Effect.flatMap(server.client.execute(request), (response) => response.text)).toBe("abc")
            }
          })
        ))

      it("sends a form, with a file in it", () =>
        run(
          Effect.gen(function* () {
            const server = yield* make((request) =>
              Effect.flatMap(request.text, (text) =>
                Response.respond(request, 200, `${HttpHeaders.getAll(request.headers, "Content-Type").join()}\n${text}`)
              )
            )
            const form = new FormData()
            form.append("name", "Ann")
            form.append("file", new File(["content"], "a.txt", { type: "text/plain" }))
            const request = HttpClientRequest.setBody(HttpClientRequest.post("/"), HttpBody.formData(form))
            const text = yield* Effect.flatMap(server.client.execute(request), (response) => response.text)
            const boundary = /^multipart\/form-data; ?boundary=(.*)$/m.exec(text)?.[1] ?? "none"
            expect(text).toContain(`--${boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\nAnn\r\n`)
            expect(text).toMatch(/name="file"; filename="a.txt"\r\nContent-Type: text\/plain\r\n\r\ncontent\r\n/)
          })
        ))

      it("interrupts a request", () =>
        run(
          Effect.gen(function* () {
            const server = yield* make(() => Effect.never)
            const asked = yield* Effect.fork(server.client.get("/"))
            const request = yield* server.takeRequest
            yield* asked.interruptAsFork(asked.id())
            expect((yield* request.outcome)._tag).toBe("Aborted")
          })
        ))
    })
  }

  it("a server that was started by a promise responds to fetch", async () => {
    const server = await TestServer.start(Reply.json({ a: 1 }, { headers: { "Access-Control-Allow-Origin": "*" } }))
    const response = await fetch(server.url)
    expect([response.status, await response.json()]).toStrictEqual([200, { a: 1 }])
    // A window asks first whether it may (CORS).
    expect(server.requests().map(({ method }) => method)).toContain("GET")
    await server.close()
  })
}
