/**
 * The examples with `@effect/platform`: each is started as a user would, called, and stopped.
 */
import { createHash } from "node:crypto"
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { NodeHttpClient, NodeSocket } from "@effect/platform-node"
import { Rpc, RpcClient, RpcGroup, RpcSerialization } from "@effect/rpc"
import { Chunk, Effect, Layer, Schema, Stream } from "effect"
import { describe, expect, it, vi } from "vitest"
import { byCurl, byFetch, type Client, type ClientResponse, hasCurl, raw } from "./client.js"
import { freePort, root, start, withProgram } from "./program.js"

const timeout = 120_000

const patience = { timeout: 20_000 }

const clients: ReadonlyArray<Client> = hasCurl ? [byFetch, byCurl] : [byFetch]

const textOf = ({ body }: ClientResponse): string => body.toString()

const jsonOf = (response: ClientResponse): unknown => JSON.parse(textOf(response))

const json = { "Content-Type": "application/json" }

const post = (url: string, value: unknown) => ({ method: "POST", url, headers: json, body: JSON.stringify(value) })

describe.concurrent("examples/router.ts", () => {
  it(
    "routes, reads, and answers what failed",
    () =>
      withProgram("examples/router.ts", {}, async (url) => {
        const made = await byFetch(post(`${url}/people`, { name: "Ada", born: 1815 }))
        expect([made.status, made.headers.get("location"), jsonOf(made)]).toStrictEqual([201, "/people/1", { id: 1 }])
        for (const client of clients) {
          const found = await client({ method: "GET", url: `${url}/people/1?a=b` })
          expect([found.status, jsonOf(found)]).toStrictEqual([200, { name: "Ada", born: 1815 }])
          expect(found.headers.get("server-timing")).toMatch(/^app;dur=\d+\.\d$/)
          const unknown = await client({ method: "GET", url: `${url}/people/7` })
          expect([unknown.status, jsonOf(unknown)]).toStrictEqual([404, { message: "person 7 not found" }])
          const word = await client({ method: "GET", url: `${url}/people/ada` })
          expect([word.status, textOf(word)]).toStrictEqual([400, expect.stringContaining("ada")])
          const wrong = await client(post(`${url}/people`, { name: "", born: 1815 }))
          expect([wrong.status, textOf(wrong)]).toStrictEqual([400, expect.stringContaining("name")])
          const broken = await client({ method: "POST", url: `${url}/people`, headers: json, body: "{" })
          expect(broken.status).toBe(400)
          const missing = await client({ method: "DELETE", url: `${url}/other` })
          expect([missing.status, jsonOf(missing)]).toStrictEqual([404, { message: "no route for DELETE /other" }])
          expect(missing.headers.has("server-timing")).toBe(true)
        }
      }),
    timeout
  )
})

describe.concurrent("examples/httpApi.ts", () => {
  it(
    "checks by its schemas, and describes itself",
    () =>
      withProgram("examples/httpApi.ts", {}, async (url) => {
        const written = await byFetch(post(`${url}/notes`, { text: "the second" }))
        expect([written.status, jsonOf(written)]).toStrictEqual([201, { id: 2, text: "the second" }])
        for (const client of clients) {
          const found = await client({ method: "GET", url: `${url}/notes/2` })
          expect([found.status, jsonOf(found)]).toStrictEqual([200, { id: 2, text: "the second" }])
          const some = await client({ method: "GET", url: `${url}/notes?containing=first` })
          expect(jsonOf(some)).toStrictEqual([{ id: 1, text: "the first note" }])
          const missing = await client({ method: "GET", url: `${url}/notes/9` })
          expect([missing.status, jsonOf(missing)]).toStrictEqual([404, { _tag: "NoteNotFound", id: 9 }])
          const wrong = await client(post(`${url}/notes`, { text: "" }))
          expect([wrong.status, jsonOf(wrong)]).toMatchObject([
            400,
            { _tag: "HttpApiDecodeError", issues: [{ path: ["text"] }] }
          ])
          const other = await client({ method: "GET", url: `${url}/other` })
          expect(other.status).toBe(404)
        }
        const described = await byFetch({ method: "GET", url: `${url}/openapi.json` })
        expect(jsonOf(described)).toMatchObject({
          openapi: "3.1.0",
          info: { title: "Notebook" },
          paths: {
            "/notes": { get: {}, post: {} },
            "/notes/{id}": { get: { responses: { 200: {}, 400: {}, 404: {} } } }
          }
        })
        const page = await byFetch({ method: "GET", url: `${url}/docs` })
        expect(page.headers.get("content-type")).toMatch(/^text\/html/)
        expect(Number(page.headers.get("content-length"))).toBe(page.body.length)
        expect(textOf(page)).toContain("SwaggerUIBundle")
      }),
    timeout
  )
})

describe.concurrent("examples/rpc.ts", () => {
  class NameRequired extends Schema.TaggedError<NameRequired>()("NameRequired", { message: Schema.String }) {}

  const greetings = RpcGroup.make(
    Rpc.make("Greet", { payload: { name: Schema.String }, success: Schema.String, error: NameRequired }),
    Rpc.make("CountDown", { payload: { from: Schema.Int }, success: Schema.Int, stream: true })
  )

  const calls = Effect.gen(function* () {
    const client = yield* RpcClient.make(greetings)
    const names = Array.from({ length: 20 }, (_, i) => `${i}`)
    const greeted = yield* Effect.forEach(names, (name) => client.Greet({ name }), { concurrency: "unbounded" })
    expect(greeted).toStrictEqual(names.map((name) => `Hello ${name}`))
    const refused = yield* Effect.flip(client.Greet({ name: "" }))
    expect(refused).toStrictEqual(new NameRequired({ message: "a name is required" }))
    const counted = yield* Stream.runCollect(client.CountDown({ from: 5 }))
    expect(Chunk.toReadonlyArray(counted)).toStrictEqual([5, 4, 3, 2, 1, 0])
    // One that is left in the middle holds up neither the next call nor the end.
    const begun = yield* Stream.runCollect(Stream.take(client.CountDown({ from: 1_000_000 }), 2))
    expect(Chunk.toReadonlyArray(begun)).toStrictEqual([1_000_000, 999_999])
    expect(yield* client.Greet({ name: "again" })).toBe("Hello again")
  }).pipe(Effect.scoped)

  const transports: Record<
    string,
    (url: string) => Layer.Layer<RpcClient.Protocol, never, RpcSerialization.RpcSerialization>
  > = {
    HTTP: (url) => RpcClient.layerProtocolHttp({ url: `${url}/rpc` }).pipe(Layer.provide(NodeHttpClient.layerUndici)),
    WebSocket: (url) =>
      RpcClient.layerProtocolSocket().pipe(
        Layer.provide(NodeSocket.layerWebSocket(`${url.replace("http", "ws")}/rpc/socket`))
      )
  }

  it.each(Object.entries(transports))(
    "is called over %s",
    (_, transport) =>
      withProgram("examples/rpc.ts", {}, async (url) => {
        const protocol = Layer.provide(transport(url), RpcSerialization.layerNdjson)
        await Effect.runPromise(Effect.provide(calls, protocol))
      }),
    timeout
  )

  it(
    "ends cleanly under a stream that continues over either",
    () =>
      withProgram("examples/rpc.ts", {}, async (url) => {
        const endless = (transport: string) =>
          Effect.gen(function* () {
            const client = yield* RpcClient.make(greetings)
            yield* Stream.runForEach(client.CountDown({ from: 1_000_000 }), () =>
              Effect.sync(() => seen.add(transport))
            )
          }).pipe(
            Effect.scoped,
            Effect.provide(Layer.provide(transports[transport]!(url), RpcSerialization.layerNdjson)),
            Effect.runPromiseExit
          )
        const seen = new Set<string>()
        for (const transport of Object.keys(transports)) void endless(transport)
        await vi.waitFor(() => expect(seen.size).toBe(2), patience)
      }),
    timeout
  )
})

/** What comes of an event stream, piece by piece, until it has come to what is asked for. */
const reading = (response: Response) => {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let got = ""
  return {
    until: async (wanted: RegExp): Promise<string> => {
      while (!wanted.test(got)) {
        const { done, value } = await reader.read()
        if (done) throw new Error(`the stream has ended after ${JSON.stringify(got)}`)
        got += value
      }
      return got
    },
    end: async (): Promise<"Ended" | "Broken"> => {
      try {
        while (!(await reader.read()).done) {}
        return "Ended"
      } catch {
        return "Broken"
      }
    }
  }
}

describe.concurrent("examples/events.ts", () => {
  const listen = (url: string, init: RequestInit = {}) =>
    fetch(`${url}/events`, { ...init, headers: { accept: "text/event-stream", ...init.headers } })

  it(
    "has a head before the first event, a pulse while nothing happens, and continues after the last that was seen",
    () =>
      withProgram("examples/events.ts", { INTERVAL: "1 hour", HEARTBEAT: "20 millis" }, async (url) => {
        const response = await listen(url, { headers: { "last-event-id": "not a number" } })
        expect(response.status).toBe(200)
        expect(response.headers.get("content-type")).toBe("text/event-stream")
        expect(response.headers.get("cache-control")).toBe("no-store")
        const got = await reading(response).until(/(?:: still here\n\n){3}/)
        expect(got).toMatch(/^retry: 500\n\n(?:: still here\n\n)+$/)
      }),
    timeout
  )

  it(
    "ends for a client that leaves, and resumes for a client that returns",
    () =>
      withProgram("examples/events.ts", { INTERVAL: "5 millis" }, async (url) => {
        const count = async () => jsonOf(await byFetch({ method: "GET", url: `${url}/listeners` }))
        const leaving = new AbortController()
        const left = reading(await listen(url, { signal: leaving.signal }))
        const stays = reading(await listen(url, { headers: { "last-event-id": "41" } }))
        expect(await left.until(/data: \{"n":3\}\n\n/)).toMatch(
          /^retry: 500\n\nid: 1\nevent: tick\ndata: \{"n":1\}\n\n/
        )
        expect(await stays.until(/data: \{"n":44\}\n\n/)).toMatch(/^retry: 500\n\nid: 42\n/)
        expect(await count()).toBe(2)
        leaving.abort()
        await vi.waitFor(async () => expect(await count()).toBe(1), patience)
      }),
    timeout
  )

  it(
    "is restarted with listeners connected, which reconnect",
    async () => {
      const env = { INTERVAL: "5 millis", PORT: String(await freePort()) }
      const first = await start("examples/events.ts", env)
      const cut = reading(await listen(first.url))
      await cut.until(/id: 2\n/)
      const { code, stderr } = await first.stop("SIGTERM")
      expect([code, stderr, await cut.end()]).toStrictEqual([0, "", "Ended"])
      await withProgram("examples/events.ts", env, async (url) => {
        expect(url).toBe(first.url)
        await reading(await listen(url, { headers: { "last-event-id": "2" } })).until(/^retry: 500\n\nid: 3\n/)
      })
    },
    timeout
  )
})

describe.concurrent("examples/staticFolder.ts", () => {
  const content = "0123456789abcdefghij"
  const modified = new Date("2026-01-02T03:04:05.678Z")

  const withFolder = async (check: Parameters<typeof withProgram>[2]): Promise<void> => {
    const parent = mkdtempSync(`${tmpdir()}/static-`)
    const folder = `${parent}/public`
    mkdirSync(`${folder}/sub`, { recursive: true })
    writeFileSync(`${parent}/secret.txt`, "secret")
    mkdirSync(`${parent}/public-too`)
    writeFileSync(`${parent}/public-too/secret.txt`, "secret")
    writeFileSync(`${folder}/.env`, "secret")
    writeFileSync(`${folder}/a b.txt`, content)
    writeFileSync(`${folder}/empty.json`, "")
    writeFileSync(`${folder}/sub/index.html`, "<p>sub</p>")
    writeFileSync(`${folder}/large.bin`, Buffer.alloc(3_000_000, "x"))
    symlinkSync(`${parent}/secret.txt`, `${folder}/link.txt`)
    utimesSync(`${folder}/a b.txt`, modified, modified)
    try {
      await withProgram("examples/staticFolder.ts", { FOLDER: folder }, check)
    } finally {
      rmSync(parent, { recursive: true, force: true })
    }
  }

  it(
    "sends files whole, in part, and not at all to a client that has them",
    () =>
      withFolder(async (url) => {
        for (const client of clients) {
          const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
            client({ method, url: `${url}${path}`, headers })
          const file = "/a%20b.txt"
          const whole = await get(file)
          expect([whole.status, textOf(whole), whole.headers.get("content-type")]).toStrictEqual([
            200,
            content,
            "text/plain; charset=utf-8"
          ])
          expect(whole.headers.get("accept-ranges")).toBe("bytes")
          const etag = whole.headers.get("etag") ?? ""
          const date = whole.headers.get("last-modified") ?? ""
          expect(etag).toMatch(/^"[^"]+"$/)
          expect(date).toBe(modified.toUTCString())

          const head = await get(file, {}, "HEAD")
          expect([head.status, head.headers.get("content-length"), head.body.length]).toStrictEqual([200, "20", 0])
          expect(head.headers.get("etag")).toBe(etag)

          const parts = [
            ["bytes=0-0", "bytes 0-0/20", "0"],
            ["bytes=3-5", "bytes 3-5/20", "345"],
            ["bytes=15-", "bytes 15-19/20", "fghij"],
            ["bytes=15-99999", "bytes 15-19/20", "fghij"],
            ["bytes=-4", "bytes 16-19/20", "ghij"],
            ["bytes=-500", "bytes 0-19/20", content],
            ["BYTES=1-2", "bytes 1-2/20", "12"]
          ] as const
          for (const [range, said, text] of parts) {
            const part = await get(file, { range })
            expect([range, part.status, part.headers.get("content-range"), textOf(part)]).toStrictEqual([
              range,
              206,
              said,
              text
            ])
            expect(part.headers.get("content-length")).toBe(String(text.length))
            expect(part.headers.get("etag")).toBe(etag)
          }
          for (const range of ["bytes=20-", "bytes=20-30", "bytes=-0"]) {
            const none = await get(file, { range })
            expect([range, none.status, none.headers.get("content-range")]).toStrictEqual([range, 416, "bytes */20"])
          }
          for (const range of ["bytes=5-3", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes 0-1"]) {
            const ignored = await get(file, { range })
            expect([range, ignored.status, textOf(ignored)]).toStrictEqual([range, 200, content])
          }
          const stillWhole = await get(file, { range: "bytes=0-1" }, "HEAD")
          expect(stillWhole.status).toBe(200)

          for (const resumed of [etag, date]) {
            expect((await get(file, { range: "bytes=0-1", "if-range": resumed })).status).toBe(206)
          }
          for (const changed of ['"other"', `W/${etag}`, new Date(0).toUTCString()]) {
            expect((await get(file, { range: "bytes=0-1", "if-range": changed })).status).toBe(200)
          }

          const known = [etag, `W/${etag}`, `"other", ${etag}`, "*"].map((tag) => ({ "if-none-match": tag }))
          for (const headers of [...known, { "if-modified-since": date }]) {
            for (const method of ["GET", "HEAD"]) {
              const same = await get(file, headers, method)
              expect([same.status, same.body.length, same.headers.get("etag")]).toStrictEqual([304, 0, etag])
              expect(same.headers.get("content-length")).toBeUndefined()
            }
          }
          const changed = [
            { "if-none-match": '"other"' },
            { "if-none-match": '"other"', "if-modified-since": date },
            { "if-modified-since": new Date(0).toUTCString() },
            { "if-modified-since": "yesterday" }
          ]
          for (const headers of changed) expect((await get(file, headers)).status).toBe(200)

          const empty = await get("/empty.json")
          expect([empty.status, empty.headers.get("content-length"), empty.headers.get("content-type")]).toStrictEqual([
            200,
            "0",
            "application/json"
          ])
          expect((await get("/empty.json", { range: "bytes=0-" })).status).toBe(416)

          const index = await get("/sub/")
          expect([textOf(index), index.headers.get("content-type")]).toStrictEqual([
            "<p>sub</p>",
            "text/html; charset=utf-8"
          ])
          const slash = await get("/sub")
          expect([slash.status, slash.headers.get("location")]).toStrictEqual([308, "/sub/"])
          // It leads nowhere else: two slashes at the front would be a host.
          expect((await get("//sub")).headers.get("location")).toBe("/sub/")

          expect((await get("/large.bin", { range: "bytes=1000000-2999998" })).body.length).toBe(1_999_999)
          const refused = await get(file, {}, "DELETE")
          expect([refused.status, refused.headers.get("allow")]).toStrictEqual([405, "GET, HEAD"])
        }
      }),
    timeout
  )

  it(
    "has nothing outside of its folder",
    () =>
      withFolder(async (url) => {
        const targets = [
          "/../secret.txt",
          "/%2e%2e/secret.txt",
          "/..%2fsecret.txt",
          "/sub/../../secret.txt",
          "/sub/..%5c..%5csecret.txt",
          "/../public-too/secret.txt",
          "/link.txt",
          "/.env",
          "/sub/.%2fa",
          "/a b.txt/".replace(" ", "%20"),
          "/nothing",
          "/",
          "/a%00b.txt",
          "http://other.test/../secret.txt",
          `//${"../".repeat(10)}etc/passwd`
        ]
        for (const target of targets) {
          const said = await raw(url, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
          expect([target, said.split("\r\n")[0]]).toStrictEqual([target, "HTTP/1.1 404 Not Found"])
        }
        const broken = await raw(url, "GET /%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        expect(broken).toMatch(/^HTTP\/1\.1 400 /)
        const whole = await raw(url, `GET ${url}/a%20b.txt?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
        expect(whole.endsWith(content)).toBe(true)
      }),
    timeout
  )

  it.skipIf(process.platform !== "linux")(
    "opens no file that it does not close",
    () =>
      withFolder(async (url, { pid }) => {
        const open = () =>
          readdirSync(`/proc/${pid}/fd`).filter((descriptor) => {
            try {
              return readlinkSync(`/proc/${pid}/fd/${descriptor}`).endsWith("/large.bin")
            } catch {
              return false
            }
          })
        const leaves = async () => {
          const leaving = new AbortController()
          const response = await fetch(`${url}/large.bin`, { signal: leaving.signal })
          await response.body?.getReader().read()
          leaving.abort()
        }
        for (let i = 0; i < 20; i++) {
          await leaves()
          await byFetch({ method: "HEAD", url: `${url}/large.bin` })
        }
        await vi.waitFor(() => expect(open()).toStrictEqual([]), patience)
        expect((await byFetch({ method: "GET", url: `${url}/large.bin` })).body.length).toBe(3_000_000)
      }),
    timeout
  )
})

describe.concurrent("examples/upload.ts", () => {
  const formOf = (title: string | undefined, ...files: ReadonlyArray<readonly [name: string, content: Buffer]>) => {
    const form = new FormData()
    if (title !== undefined) form.set("title", title)
    for (const [name, content] of files) form.append("files", new Blob([content], { type: "text/x-test" }), name)
    return form
  }

  const send = async (url: string, body: FormData) => {
    const response = await fetch(url, { method: "POST", body })
    return [response.status, await response.text()] as const
  }

  it(
    "takes files, and refuses what is too large or no such form",
    () =>
      withProgram("examples/upload.ts", {}, async (url) => {
        const page = await byFetch({ method: "GET", url })
        expect(textOf(page)).toContain('enctype="multipart/form-data"')
        const one = Buffer.from("é\0\r\n--x\r\n".repeat(20_000))
        const sum = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex")
        const none = Buffer.alloc(0)
        const files = [
          ["ü n.txt", one],
          ["none", none]
        ] as const
        expect(await send(url, formOf("Two", ...files))).toStrictEqual([
          200,
          `Two\nü n.txt (text/x-test): ${one.length} bytes, SHA-256 ${sum(one)}\nnone (text/x-test): 0 bytes, SHA-256 ${sum(none)}\n`
        ])
        const most = Buffer.alloc(1_048_576, "x")
        expect(await send(url, formOf("Just", ["most", most]))).toStrictEqual([
          200,
          `Just\nmost (text/x-test): 1048576 bytes, SHA-256 ${sum(most)}\n`
        ])
        expect((await send(url, formOf(undefined, ["a", one])))[0]).toBe(400)
        expect((await send(url, formOf("", ["a", one])))[0]).toBe(400)
        expect((await byFetch({ method: "POST", url, headers: json, body: "{}" })).status).toBe(400)
        const tooLarge = Buffer.alloc(1_048_577, "x")
        expect((await send(url, formOf("Large", ["large", tooLarge])))[0]).toBe(413)
        expect((await send(url, formOf("Sum", ["a", most], ["b", most], ["c", most])))[0]).toBe(413)
        expect((await send(url, formOf("Parts", ...Array.from({ length: 30 }, () => ["n", none] as const))))[0]).toBe(
          413
        )
        expect((await send(url, formOf("After", ["none", none])))[0]).toBe(200)
      }),
    timeout
  )

  it.skipIf(!hasCurl)(
    "answers 413 to what continues being sent",
    () =>
      withProgram("examples/upload.ts", {}, async (url) => {
        const boundary = "x"
        const head = `--${boundary}\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n`
        const answer = await byCurl({
          method: "POST",
          url,
          headers: { "Content-Type": `multipart/form-data; boundary=${boundary}`, Expect: "" },
          body: Buffer.concat([Buffer.from(head), Buffer.alloc(20_000_000, "x")])
        })
        expect(answer.status).toBe(413)
      }),
    timeout
  )
})

describe.concurrent("examples/moved.ts", () => {
  const source = readFileSync(`${root}examples/moved.ts`, "utf8")
  const [, before = "", after = ""] = /^ \* -(.*)\n \* \+(.*)$/m.exec(source) ?? []

  const check = async (url: string): Promise<void> => {
    for (const client of clients) {
      const headers = { origin: "https://example.com" }
      const hello = await client({ method: "GET", url, headers })
      expect([hello.status, textOf(hello)]).toStrictEqual([200, "Hello World"])
      expect(hello.headers.get("access-control-allow-origin")).toBe("https://example.com")
      const echo = await client({ method: "PUT", url: `${url}/echo?a=b`, body: "é" })
      expect([echo.status, jsonOf(echo)]).toStrictEqual([200, { method: "PUT", url: "/echo?a=b", body: "é" }])
      expect((await client({ method: "GET", url: `${url}/other`, headers })).status).toBe(404)
    }
  }

  it("has the line that its comment shows", () => {
    expect(source.split("\n")).toContain(after)
    expect(before).toContain("@effect/platform-node")
  })

  it("answers", () => withProgram("examples/moved.ts", {}, check), timeout)

  it(
    "answers the same with its line as it was",
    async () => {
      mkdirSync(`${root}.tmp`, { recursive: true })
      // Within the package, so that it finds the same modules.
      const folder = mkdtempSync(`${root}.tmp/moved-`)
      try {
        writeFileSync(`${folder}/original.ts`, source.replace(`\n${after}\n`, `\n${before}\n`))
        await withProgram(`${folder}/original.ts`, {}, check)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    timeout
  )
})
