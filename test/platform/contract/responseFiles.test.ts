/** Files as responses: ranges, and descriptors that are closed in every case. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { layerContext } from "../../../src/HttpServer.js"
import { eventually } from "../../support/eventually.js"
import { ask, connect, get, requestText } from "../../support/rawClient.js"
import { serving } from "../harness.js"
import { prepared } from "./responseParts.js"

/** Files, whose descriptors the system can be asked about. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "contract-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const openIn = (path: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path)
    } catch {
      return false
    }
  }).length

const closedIn = (path: string) =>
  eventually(
    Effect.sync(() => openIn(path)),
    (open) => open === 0,
    "all files closed"
  )

describe("a file", () => {
  const content = "0123456789"

  const fileIn = (path: string): string => {
    const file = join(path, "file.txt")
    writeFileSync(file, content)
    return file
  }

  for (const [options, text] of [
    [{}, content],
    [{ offset: 3 }, "3456789"],
    [{ bytesToRead: 4 }, "0123"],
    [{ offset: 2, bytesToRead: 4 }, "2345"]
  ] as const) {
    it.scopedLive(`is sent by ${JSON.stringify(options)}, and the connection continues`, () =>
      Effect.gen(function* () {
        const path = yield* folder
        const client = yield* connect(
          yield* Effect.provide(serving(HttpServerResponse.file(fileIn(path), options)), layerContext)
        )
        yield* client.send(requestText("GET /") + requestText("HEAD /") + requestText("GET /"))
        const received = yield* client.readResponse()
        expect([received.text, received.header("Content-Length")]).toStrictEqual([text, String(text.length)])
        expect(received.header("Content-Type")).toBe("text/plain")
        expect(received.header("ETag")).toBeDefined()
        expect(received.header("Last-Modified")).toBeDefined()
        expect((yield* client.readResponse("HEAD")).header("Content-Length")).toBe(String(text.length))
        expect((yield* client.readResponse()).text).toBe(text)
        yield* closedIn(path)
      })
    )
  }

  it.scopedLive("of the web is sent", () =>
    Effect.gen(function* () {
      const file = new File(["of the web"], "a.html", { lastModified: 0 })
      const app = HttpServerResponse.fileWeb(file)
      const received = yield* get(yield* Effect.provide(serving(app), layerContext))
      expect([received.text, received.header("Content-Type")]).toStrictEqual(["of the web", "text/html"])
    })
  )

  const unsent: ReadonlyArray<
    readonly [
      string,
      Parameters<typeof serving>[1],
      (file: HttpServerResponse.HttpServerResponse) => HttpApp.Default,
      string
    ]
  > = [
    ["by HEAD", {}, Effect.succeed, "HEAD"],
    ["by a 304", {}, (file) => Effect.succeed(HttpServerResponse.setStatus(file, 304)), "GET"],
    [
      "by a head that cannot be sent",
      {},
      (file) => Effect.succeed(HttpServerResponse.setHeader(file, "x-bad", "\n")),
      "GET"
    ],
    [
      "by cookies that cannot be written",
      {},
      (file) => Effect.succeed(HttpServerResponse.unsafeSetCookie(file, "a", "b", { expires: "soon" as never })),
      "GET"
    ],
    [
      "by a pre-response handler that fails",
      {},
      (file) => prepared(Effect.succeed(file), () => Effect.die("refused")),
      "GET"
    ],
    [
      "by a pre-response handler that replaces it",
      {},
      (file) => prepared(Effect.succeed(file), () => Effect.succeed(HttpServerResponse.text("other"))),
      "GET"
    ],
    [
      "by another response before it",
      { middleware: (app) => Effect.flatMap(app, () => Effect.suspend(() => replaced!)) },
      (file) => {
        replaced = Effect.succeed(file)
        return Effect.succeed(HttpServerResponse.text("other"))
      },
      "GET"
    ]
  ]
  let replaced: HttpApp.Default | undefined

  for (const [how, given, app, method] of unsent) {
    it.scopedLive(`is closed when it is not sent: ${how}`, () =>
      Effect.gen(function* () {
        const path = yield* folder
        const file = Effect.flatMap(HttpServerResponse.file(fileIn(path)), (response) => {
          // It has been opened when this responds.
          return Effect.zipRight(
            eventually(
              Effect.sync(() => openIn(path)),
              (open) => open > 0,
              "opened"
            ),
            app(response)
          )
        })
        const port = yield* Effect.provide(serving(file, given), layerContext)
        yield* ask(port, requestText(`${method} /`), method)
        yield* closedIn(path)
      })
    )
  }

  it.scopedLive("is closed when its client leaves in the middle of it", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const file = join(path, "large")
      writeFileSync(file, Buffer.alloc(32 * 1024 * 1024))
      const client = yield* connect(yield* Effect.provide(serving(HttpServerResponse.file(file)), layerContext))
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.length > 1024)
      yield* client.stopReading
      expect(openIn(path)).toBe(1)
      yield* client.reset
      yield* closedIn(path)
    })
  )
})
