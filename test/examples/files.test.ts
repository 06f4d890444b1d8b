/** The examples with files: each is started as a user would, called, and stopped. */
import { createHash } from "node:crypto"
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { describe, expect, it, vi } from "vitest"
import { clients, json, textOf, timeout, waiting } from "./applicationClient.js"
import { byCurl, byFetch, hasCurl, raw } from "./client.js"
import { withProgram } from "./program.js"

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
    "sends files whole, as ranges, and as 304 to a client that has them",
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
          for (const [range, contentRange, text] of parts) {
            const part = await get(file, { range })
            expect([range, part.status, part.headers.get("content-range"), textOf(part)]).toStrictEqual([
              range,
              206,
              contentRange,
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
          // A location that begins with two slashes would name a host.
          expect((await get("//sub")).headers.get("location")).toBe("/sub/")

          expect((await get("/large.bin", { range: "bytes=1000000-2999998" })).body.length).toBe(1_999_999)
          const rejected = await get(file, {}, "DELETE")
          expect([rejected.status, rejected.headers.get("allow")]).toStrictEqual([405, "GET, HEAD"])
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
          const response = await raw(url, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
          expect([target, response.split("\r\n")[0]]).toStrictEqual([target, "HTTP/1.1 404 Not Found"])
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
        await vi.waitFor(() => expect(open()).toStrictEqual([]), waiting)
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
    "accepts files, and rejects forms that are too large or malformed",
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
    "responds 413 to a client that continues to send",
    () =>
      withProgram("examples/upload.ts", {}, async (url) => {
        const boundary = "x"
        const head = `--${boundary}\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n`
        const response = await byCurl({
          method: "POST",
          url,
          headers: { "Content-Type": `multipart/form-data; boundary=${boundary}`, Expect: "" },
          body: Buffer.concat([Buffer.from(head), Buffer.alloc(20_000_000, "x")])
        })
        expect(response.status).toBe(413)
      }),
    timeout
  )
})
