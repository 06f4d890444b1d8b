/**
 * Pages, event streams, WebSockets and forms, as a browser has them.
 */
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse, Socket } from "@effect/platform"
import { Effect, Layer, ManagedRuntime } from "effect"
import * as HttpServerHere from "effect-asynchttpserver/HttpServer"
import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { freePort, start, withProgram } from "../examples/program.js"
import { hasChromium, launch, withPage } from "./chromium.js"

const timeout = 120_000

describe.skipIf(!hasChromium)("in a browser", () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await launch()
  }, timeout)

  afterAll(() => browser.close(), timeout)

  it(
    "the Swagger page loads, and tries an endpoint out",
    () =>
      withProgram("examples/httpApi.ts", {}, (url) =>
        withPage(browser, async (page) => {
          await page.goto(`${url}/docs`)
          expect(await page.title()).toBe("Notebook Documentation")
          const find = page.locator(".opblock", { hasText: "/notes/{id}" })
          await find.locator(".opblock-summary").click()
          await find.getByRole("button", { name: "Try it out" }).click()
          for (const [id, status, body] of [
            ["1", "200", "the first note"],
            ["9", "404", "NoteNotFound"]
          ] as const) {
            await find.getByPlaceholder("id").fill(id)
            await find.getByRole("button", { name: "Execute" }).click()
            const live = find.locator(".live-responses-table .response").first()
            await live.locator(".response-col_status", { hasText: status }).waitFor()
            await live.locator(".highlight-code", { hasText: body }).waitFor()
          }
        })
      ),
    timeout
  )

  it(
    "an EventSource receives every event, once, through a restart of its server",
    async () => {
      const env = { INTERVAL: "20 millis", PORT: String(await freePort()) }
      const first = await start("examples/events.ts", env)
      let ended: Promise<unknown> | undefined
      try {
        await withPage(browser, async (page) => {
          await page.goto(first.url)
          const seen = page.locator("#seen li")
          await seen.nth(4).waitFor()
          await (ended = first.stop("SIGTERM"))
          const before = await seen.count()
          await withProgram("examples/events.ts", env, async (url) => {
            await seen.nth(before + 5).waitFor()
            const texts = await seen.allTextContents()
            expect(texts).toStrictEqual(texts.map((_, i) => JSON.stringify({ n: i + 1 })))
            // The page goes, and its stream with it.
            await page.goto("about:blank")
            const listeners = () => fetch(`${url}/listeners`).then((received) => received.json())
            await vi.waitFor(async () => expect(await listeners()).toBe(0), { timeout: 20_000 })
          })
        })
      } finally {
        await (ended ?? first.stop("SIGTERM"))
      }
    },
    timeout
  )

  it(
    "a form uploads a file, and shows what has come",
    () =>
      withProgram("examples/upload.ts", {}, (url) =>
        withPage(browser, async (page) => {
          await page.goto(url)
          await page.getByLabel("Title").fill("Für Elise")
          const buffer = Buffer.alloc(700_000, "é")
          await page.getByLabel("Files").setInputFiles({ name: "ü.bin", mimeType: "application/x-test", buffer })
          const [received] = await Promise.all([
            page.waitForResponse((response) => response.request().method() === "POST"),
            page.getByRole("button", { name: "Send" }).click()
          ])
          expect(received.status()).toBe(200)
          await page.getByText("ü.bin (application/x-test): 700000 bytes, SHA-256").waitFor()
          expect(await page.locator("body").textContent()).toContain("Für Elise")

          await page.goto(url)
          await page.getByLabel("Title").fill("Too large")
          const large = { name: "large.bin", mimeType: "application/x-test", buffer: Buffer.alloc(1_500_000) }
          await page.getByLabel("Files").setInputFiles(large)
          const [refused] = await Promise.all([
            page.waitForResponse((response) => response.request().method() === "POST"),
            page.getByRole("button", { name: "Send" }).click()
          ])
          expect(refused.status()).toBe(413)
        })
      ),
    timeout
  )

  describe("a WebSocket", () => {
    /** Sends every message back as it came; "close 4001" closes so. */
    const echo = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const socket = yield* request.upgrade
      const write = yield* socket.writer
      yield* socket.runRaw((message) => {
        const code = typeof message === "string" ? /^close (\d+)$/.exec(message)?.[1] : undefined
        return write(code === undefined ? message : new Socket.CloseEvent(Number(code), "as asked"))
      })
      return HttpServerResponse.empty()
    }).pipe(
      Effect.scoped,
      Effect.catchTag("SocketError", () => HttpServerResponse.empty())
    )

    const page = HttpServerResponse.html("<!doctype html><title>echo</title>")
    const app = HttpRouter.empty.pipe(HttpRouter.get("/", page), HttpRouter.get("/echo", echo))
    const server = HttpServerHere.layer({ host: "127.0.0.1", port: 0, drainTimeout: 0 })
    const runtime = ManagedRuntime.make(Layer.provideMerge(HttpServer.serve(app), server))
    let url = ""

    beforeAll(async () => {
      url = await runtime.runPromise(HttpServer.addressFormattedWith(Effect.succeed))
    })

    afterAll(() => runtime.dispose())

    /** The messages that a page receives, and how its socket was closed. */
    const converse = (sent: ReadonlyArray<string | ReadonlyArray<number>>, closesWith?: number) => {
      let result: unknown
      return withPage(browser, async (page) => {
        await page.goto(url)
        result = await page.evaluate(
          async ([address, messages, code]) => {
            const socket = new WebSocket(address)
            socket.binaryType = "arraybuffer"
            const got: Array<string | ReadonlyArray<number>> = []
            const closed = new Promise((resolve) => {
              socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean })
            })
            await new Promise((resolve, reject) => {
              socket.onopen = resolve
              socket.onerror = reject
            })
            for (const message of messages) {
              socket.send(typeof message === "string" ? message : new Uint8Array(message))
            }
            const echoed = messages.filter((message) => typeof message !== "string" || !message.startsWith("close "))
            if (echoed.length > 0) {
              await new Promise<void>((resolve) => {
                socket.onmessage = ({ data }: { readonly data: string | ArrayBuffer }) => {
                  got.push(typeof data === "string" ? data : Array.from(new Uint8Array(data)))
                  if (got.length === echoed.length) resolve()
                }
              })
            }
            if (code !== undefined) socket.close(code, "enough")
            return { got, closed: await closed }
          },
          [`${url.replace("http", "ws")}/echo`, sent, closesWith] as const
        )
      }).then(() => result)
    }

    it(
      "carries text and bytes, and is closed by the page with a code of its own",
      async () => {
        const long = "é".repeat(100_000)
        const bytes = Array.from({ length: 256 }, (_, i) => i)
        expect(await converse(["hello", "", bytes, [], long], 4321)).toStrictEqual({
          got: ["hello", "", bytes, [], long],
          closed: { code: 4321, reason: "enough", wasClean: true }
        })
      },
      timeout
    )

    it.each([1000, 4001])(
      "is closed by the server with %i",
      async (code) => {
        expect(await converse(["last words", `close ${code}`])).toStrictEqual({
          got: ["last words"],
          closed: { code, reason: "as asked", wasClean: true }
        })
      },
      timeout
    )
  })
})
