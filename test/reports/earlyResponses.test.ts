/** A report: an early 401 or 413 during a slow upload was lost to clients that send all before they read. */
import { request as httpRequest } from "node:http"
import { Readable } from "node:stream"
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { request as undiciRequest } from "undici"
import { respond } from "../../src/Response.js"
import { serving as servingApplication } from "../platform/harness.js"
import { serving, untilDescriptorsHeld } from "../server/harness.js"
import { eventually } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { connect, get, type RawConnection, requestText } from "../wire/rawConnection.js"
import { programs, type SlowClient, toEach, upload } from "./slowUploads.js"

/** Sends a piece every that many milliseconds, so often. */
const trickle = (client: RawConnection, chunk: string, times: number, pause: number): Effect.Effect<void> =>
  Effect.repeatN(Effect.zipRight(client.send(chunk), Effect.sleep(pause)), times - 1)

const unauthorized = () => serving((request) => respond(request, 401, "log in?"), { maxBody: 1_000_000 })

describe("an early response", () => {
  const size = `Content-Length: ${upload.chunks * upload.bytes}`
  const chunked = "Transfer-Encoding: chunked"

  it.scopedLive("reaches a client that reads nothing before it has sent all, for as long as it sends", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(
        (request) =>
          request.path === "/read"
            ? Effect.flatMap(request.bytes, () => respond(request, 200))
            : respond(request, 401, "log in?"),
        { maxBody: 1_000_000 }
      )
      const x = "x".repeat(10_000)
      const kinds: ReadonlyArray<readonly [status: number, head: string, piece: string]> = [
        [401, requestText("POST /unread", [size]), x],
        [401, requestText("POST /unread", [size, "Expect: 100-continue"]), x],
        [401, requestText("POST /unread", [chunked]), `40000\r\n${"x".repeat(0x40000)}\r\n`],
        [413, requestText("POST /read", ["Content-Length: 1000001"]), x],
        [413, requestText("POST /read", [chunked], "fffff\r\n"), x],
        [417, requestText("POST /read", [size, "Expect: the-unexpected"]), x],
        [501, requestText("CONNECT a:80"), x],
        [501, requestText("POST /read", ["Transfer-Encoding: gzip, chunked"]), x],
        [400, requestText("POST /read", [chunked], "1\r\nx\r\nnonsense\r\n"), x],
        [400, "nonsense\r\n", x],
        [431, `GET / HTTP/1.1\r\nA: ${"a".repeat(40_000)}`, x]
      ]
      const seen = yield* Effect.forEach(
        kinds,
        ([, head, chunk]) =>
          Effect.scoped(
            Effect.gen(function* () {
              const client = yield* connect(port)
              yield* client.stopReading
              yield* client.send(head)
              yield* trickle(client, chunk, 8, 250)
              yield* client.resumeReading
              const bytes = yield* client.readToEnd
              return [parseResponses(bytes).map(({ status }) => status), yield* client.closedWith]
            })
          ),
        { concurrency: "unbounded" }
      )
      expect(seen).toStrictEqual(kinds.map(([status]) => [[status], "FIN"]))
    })
  )

  const clients: ReadonlyArray<SlowClient> = [
    ...programs,
    {
      name: "node:http",
      isThere: true,
      upload: toEach((port) =>
        Effect.async<string>((resume) => {
          const headers = { "Content-Length": upload.chunks * upload.bytes }
          const request = httpRequest({ port, host: "127.0.0.1", method: "POST", headers }, (response) => {
            let text = ""
            response.on("data", (bytes) => (text += String(bytes)))
            response.on("end", () => resume(Effect.succeed(`${response.statusCode} ${text}`)))
          })
          request.on("error", (error) => resume(Effect.succeed(String(error))))
          let left = upload.chunks
          const timer = setInterval(() => {
            request.write(Buffer.alloc(upload.bytes))
            if (--left > 0) return
            clearInterval(timer)
            request.end()
          }, upload.pause)
          return Effect.sync(() => clearInterval(timer))
        })
      )
    },
    {
      name: "undici",
      isThere: true,
      upload: toEach((port) =>
        Effect.promise(async () => {
          const body = async function* () {
            for (let i = 0; i < upload.chunks; i++) {
              yield Buffer.alloc(upload.bytes)
              await new Promise((resolve) => setTimeout(resolve, upload.pause))
            }
          }
          const headers = { "Content-Length": String(upload.chunks * upload.bytes) }
          const response = await undiciRequest(`http://127.0.0.1:${port}/`, {
            method: "POST",
            headers,
            body: Readable.from(body())
          })
          return `${response.statusCode} ${await response.body.text()}`
        })
      )
    }
  ]

  for (const { isThere, name, upload } of clients) {
    if (!isThere) console.log(`${name} is not installed: what it makes of an early response is not tried`)
    it.scopedLive.skipIf(!isThere)(`reaches ${name} during a slow upload: 401, and 413`, () =>
      Effect.gen(function* () {
        const { port: native } = yield* unauthorized()
        const dropIn = yield* servingApplication(HttpServerResponse.text("log in?", { status: 401 }))
        const { port: small } = yield* serving((request) => respond(request, 200), { maxBody: 1000 })
        const responses = yield* upload([native, dropIn, small])
        expect(responses.map((response) => response.replaceAll(/\s+/g, " ").trim())).toStrictEqual([
          expect.stringMatching(/^401( log in\?)?$/),
          expect.stringMatching(/^401( log in\?)?$/),
          "413 413 Content Too Large: the body is larger than this server accepts"
        ])
      })
    )
  }
})

/** An upload with an early response that sends close, and a client that sends no more and does not end. */
const lingerer = (port: number) =>
  Effect.gen(function* () {
    const client = yield* connect(port, "127.0.0.1", { allowHalfOpen: true })
    yield* client.send(requestText("POST /", ["Content-Length: 900000"]))
    expect((yield* client.readResponse()).status).toBe(401)
    return client
  })

describe("lingering", () => {
  const patient = { lingerTimeout: "1 minute", lingerTotalTimeout: "1 minute" } as const

  it.scopedLive("ends after lingerTimeout of silence, and not while something comes", () =>
    Effect.gen(function* () {
      const limits = { lingerTimeout: "600 millis", lingerTotalTimeout: "1 minute" } as const
      const made = yield* serving((request) => respond(request, 401), { maxBody: 1_000_000, limits })
      const client = yield* lingerer(made.port)
      yield* trickle(client, "x", 12, 100)
      expect(yield* made.budget.held).toBe(2)
      const before = performance.now()
      yield* untilDescriptorsHeld(made, 1)
      expect(performance.now() - before).toBeGreaterThan(300)
    })
  )

  it.scopedLive("ends after lingerTotalTimeout, whatever comes", () =>
    Effect.gen(function* () {
      const limits = { lingerTimeout: "1 minute", lingerTotalTimeout: "1 second" } as const
      const made = yield* serving((request) => respond(request, 401), { maxBody: 1_000_000, limits })
      const client = yield* lingerer(made.port)
      const before = performance.now()
      const sending = yield* Effect.fork(trickle(client, "x", 100, 50))
      yield* untilDescriptorsHeld(made, 1)
      expect(performance.now() - before).toBeGreaterThan(900)
      yield* Fiber.interrupt(sending)
    })
  )

  it.scopedLive("ends when the client ends", () =>
    Effect.gen(function* () {
      const made = yield* serving((request) => respond(request, 401), { maxBody: 1_000_000, limits: patient })
      const client = yield* lingerer(made.port)
      yield* client.halfClose
      yield* untilDescriptorsHeld(made, 1)
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive.each([{}, { onFull: "reject" as const }])(
    "does not stop accepting: the longest-lingering give their descriptors to new connections (%j)",
    (options) =>
      Effect.gen(function* () {
        // One listens, a quarter is kept back: eight connections are served at once.
        const given = { max: 12, maxBody: 1_000_000, limits: patient, ...options }
        const made = yield* serving((request) => respond(request, request.method === "POST" ? 401 : 200), given)
        const clients: Array<RawConnection> = []
        for (let i = 0; i < 8; i++) clients.push(yield* lingerer(made.port))
        for (let i = 0; i < 4; i++) {
          const response = yield* eventually(
            get(made.port),
            ({ status }) => options.onFull !== "reject" || status !== 503,
            "a response to a request"
          )
          expect(response.status).toBe(200)
        }
        // Those that have lingered longest have been closed, one for each that came, and the last of all has not.
        expect(yield* clients[0]!.closedWith).toMatch(/FIN|RST/)
        yield* clients[7]!.send("x")
        expect(yield* made.budget.held).toBeGreaterThan(1)
        expect(yield* made.budget.held).toBeLessThanOrEqual(12)
      })
  )

  it.scopedLive("gives way to what a handler reserves, and to an accept loop of the user's own", () =>
    Effect.gen(function* () {
      const made = yield* serving((request) => respond(request, 401), { max: 12, maxBody: 1_000_000, limits: patient })
      for (let i = 0; i < 7; i++) yield* lingerer(made.port)
      expect(yield* made.budget.held).toBe(8)
      yield* Effect.scoped(made.budget.reserve(8))
      for (let i = 0; i < 4; i++) yield* lingerer(made.port)
      yield* eventually(made.server.shouldAcceptRequest(8), (should) => should, "descriptors for a request")
    })
  )

  it.scopedLive("does not hold up a server that closes, beyond a second of silence and its own drainTimeout", () =>
    Effect.gen(function* () {
      for (const [drainTimeout, least, most] of [
        ["1 minute", 900, 4000],
        ["200 millis", 0, 900]
      ] as const) {
        const made = yield* serving((request) => respond(request, 401), {
          maxBody: 1_000_000,
          limits: patient,
          drainTimeout
        })
        yield* lingerer(made.port)
        const before = performance.now()
        const report = yield* made.server.close
        const passed = performance.now() - before
        expect(report).toStrictEqual({ idle: 1, drained: 0, interrupted: 0, timedOut: 0 })
        expect(passed).toBeGreaterThanOrEqual(least)
        expect(passed).toBeLessThan(most)
      }
    })
  )
})
