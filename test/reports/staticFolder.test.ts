/** `examples/staticFolder.ts` and `examples/router.ts`, with requests that users have reported as faults. */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { byFetch, raw } from "../examples/client.js"
import { type Program, start, withProgram } from "../examples/program.js"
import { testTimeout } from "../support/eventually.js"
import { connect } from "../wire/rawConnection.js"

vi.setConfig({ testTimeout })

const timeout = 120_000

const content = "0123456789abcdefghij"

const modified = new Date("2026-01-02T03:04:05.678Z")

const later = new Date("2026-01-02T03:04:06Z").toUTCString()

const earlier = new Date("2026-01-02T03:04:04Z").toUTCString()

const folders = ["sub", "a?b", "c#d", "100%", "a b", "日本", "a&b=c;d", "empty", "links", "index", "index/index.html"]

const texts = ["a.html", "a.css", "a.js", "a.mjs", "a.csv", "a.md", "a.json", "a.png", "a.svg", "a", "é.TXT"]

const links = [
  ["loop-b", "loop-a"],
  ["loop-a", "loop-b"],
  ["gone", "dangling"],
  ["/etc", "outside"],
  ["../secret.txt", "secret"],
  ["/dev/null", "device"],
  ["../a.txt", "links/index.html"]
] as const

const large = 32 * 1024 * 1024

/** A folder with all that the tests ask for, beside a file that is none of it. */
const makeFolder = (): string => {
  const parent = mkdtempSync(join(tmpdir(), "static-"))
  const folder = join(parent, "public")
  mkdirSync(folder)
  writeFileSync(join(parent, "secret.txt"), "secret")
  for (const name of folders) mkdirSync(join(folder, name))
  mkdirSync(join(folder, "sub", "e?f"))
  for (const name of texts) writeFileSync(join(folder, name), "é")
  for (const [target, name] of links) symlinkSync(target, join(folder, name))
  writeFileSync(join(folder, "empty.txt"), "")
  writeFileSync(join(folder, "a.txt"), content)
  utimesSync(join(folder, "a.txt"), modified, modified)
  return folder
}

const removeFolder = (folder: string): void => rmSync(join(folder, ".."), { recursive: true, force: true })

/** Asks for a target as it is: a client changes what it takes for a mistake. */
const ask = (url: string, target: string, method = "GET"): Promise<string> =>
  raw(url, `${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)

const statusOf = async (url: string, target: string, method = "GET"): Promise<number> =>
  Number((await ask(url, target, method)).split(" ")[1])

describe("examples/staticFolder.ts", () => {
  let folder: string
  let program: Program
  let url: string
  let socket: Server | undefined

  beforeAll(async () => {
    folder = makeFolder()
    program = await start("examples/staticFolder.ts", { FOLDER: folder })
    url = program.url
  }, timeout)

  afterAll(async () => {
    socket?.close()
    const { code } = await program.stop("SIGTERM")
    removeFolder(folder)
    expect(code).toBe(0)
  }, timeout)

  const redirects = [
    ["/sub?x=1&y=%20", "/sub/?x=1&y=%20"],
    ["/sub??", "/sub/??"],
    ["/a%3Fb", "/a%3Fb/"],
    ["/a%3fb?q", "/a%3Fb/?q"],
    ["/c%23d", "/c%23d/"],
    ["/100%25", "/100%25/"],
    ["/a%20b", "/a%20b/"],
    ["/%E6%97%A5%E6%9C%AC", "/%E6%97%A5%E6%9C%AC/"],
    ["/a&b=c;d", "/a%26b%3Dc%3Bd/"],
    ["/sub/e%3Ff?g", "/sub/e%3Ff/?g"],
    // Two slashes at the front of a location would be a host.
    ["//sub?x", "/sub/?x"],
    ["http://other.test/sub?x", "/sub/?x"]
  ] as const

  it.each(redirects)("redirects %s to %s", async (target, location) => {
    const text = await ask(url, target)
    expect([text.slice(9, 12), /^location: (.*)\r$/im.exec(text)?.[1]]).toStrictEqual(["308", location])
    // It leads to the folder, which has no index.
    expect(await statusOf(url, location)).toBe(404)
  })

  /** Validators of `a.txt`, in place of ETAG and DATE. */
  const conditions: ReadonlyArray<readonly [headers: Record<string, string>, status: number]> = [
    [{ "if-match": "ETAG" }, 200],
    [{ "if-match": '"other", ETAG' }, 200],
    [{ "if-match": "*" }, 200],
    [{ "if-match": '"other"' }, 412],
    // The comparison is the strong one (§13.1.1).
    [{ "if-match": "W/ETAG" }, 412],
    [{ "if-unmodified-since": "DATE" }, 200],
    [{ "if-unmodified-since": later }, 200],
    [{ "if-unmodified-since": earlier }, 412],
    [{ "if-unmodified-since": "yesterday" }, 200],
    // What JavaScript takes for a date is not always one of HTTP (§13.1.3, §13.1.4); the obsolete forms are (§5.6.7).
    [{ "if-unmodified-since": "0" }, 200],
    [{ "if-modified-since": "2100" }, 200],
    [{ "if-unmodified-since": "Sunday, 06-Nov-94 08:49:37 GMT" }, 412],
    [{ "if-modified-since": "Fri Jan  2 03:04:05 2026" }, 304],
    [{ "if-modified-since": "Fri Jan  2 03:04:04 2026" }, 200],
    // If-Match takes precedence.
    [{ "if-match": "ETAG", "if-unmodified-since": earlier }, 200],
    [{ "if-match": '"other"', "if-unmodified-since": later }, 412],
    // Both of them come before the conditions for 304.
    [{ "if-match": '"other"', "if-none-match": "ETAG" }, 412],
    [{ "if-unmodified-since": earlier, "if-modified-since": "DATE" }, 412],
    [{ "if-match": "ETAG", "if-none-match": "ETAG" }, 304],
    [{ "if-unmodified-since": later, "if-none-match": "ETAG" }, 304],
    [{ "if-match": "ETAG", "if-modified-since": "DATE" }, 304],
    [{ "if-none-match": '"other"', "if-modified-since": "DATE" }, 200],
    // And all of them before Range.
    [{ "if-match": '"other"', range: "bytes=0-1" }, 412],
    [{ "if-match": "ETAG", range: "bytes=0-1" }, 206],
    [{ "if-none-match": "ETAG", range: "bytes=0-1" }, 304],
    [{ "if-match": "ETAG", "if-range": '"other"', range: "bytes=0-1" }, 200],
    [{ "if-match": '"other"', range: "bytes=99-" }, 412]
  ]

  it.each(conditions)("evaluates %j to %d (RFC 9110 §13.2.2)", async (condition, status) => {
    const get = (headers: Record<string, string>, method = "GET") => byFetch({ method, url: `${url}/a.txt`, headers })
    const { headers } = await get({})
    const etag = headers.get("etag") ?? ""
    const date = headers.get("last-modified") ?? ""
    const sent = Object.fromEntries(
      Object.entries(condition).map(([name, value]) => [name, value.replace("ETAG", etag).replace("DATE", date)])
    )
    const response = await get(sent)
    expect(response.status).toBe(status)
    if (status === 412 || status === 304) {
      expect([response.body.length, response.headers.get("etag")]).toStrictEqual([0, etag])
    }
    const head = await get(sent, "HEAD")
    expect([head.status, head.body.length]).toStrictEqual([status === 206 ? 200 : status, 0])
    const none = await byFetch({ method: "GET", url: `${url}/none`, headers: sent })
    expect(none.status).toBe(404)
  })

  it.each([
    ["a.txt", "text/plain; charset=utf-8"],
    ["é.TXT", "text/plain; charset=utf-8"],
    ["a.html", "text/html; charset=utf-8"],
    ["a.css", "text/css; charset=utf-8"],
    ["a.csv", "text/csv; charset=utf-8"],
    ["a.md", "text/markdown; charset=utf-8"],
    ["a.js", "application/javascript; charset=utf-8"],
    ["a.mjs", "application/javascript; charset=utf-8"],
    ["a.json", "application/json"],
    ["a.png", "image/png"],
    ["a.svg", "image/svg+xml"],
    ["a", "application/octet-stream"]
  ])("sends %s as %s, whole and in part", async (name, type) => {
    for (const headers of [{}, { range: "bytes=0-0" }]) {
      const response = await byFetch({ method: "GET", url: `${url}/${encodeURIComponent(name)}`, headers })
      expect(response.headers.get("content-type")).toBe(type)
    }
  })

  it.each([
    "/a.txt/x",
    "/a.txt/",
    "/a.txt/../a.txt",
    `/${"x".repeat(300)}`,
    `/${"x".repeat(300)}/`,
    `/empty/${"x".repeat(300)}`,
    `/${"%E6%97%A5".repeat(100)}`,
    `/${"x/".repeat(2500)}`,
    "/loop-a",
    "/loop-a/",
    "/loop-a/x",
    "/dangling",
    "/outside",
    "/outside/passwd",
    "/secret",
    "/device",
    "/empty/",
    "/index/",
    "/",
    "/a%2Etxt%2Fx",
    "/empty%2F",
    "/links%2Findex.html",
    "/%2Fa.txt",
    "/a.txt%00",
    "/%00",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/.%2e/secret.txt",
    "/empty/%2e%2e/a.txt",
    "/links/../a.txt"
  ])("responds 404 to %s", async (target) => {
    expect(await statusOf(url, target)).toBe(404)
    expect(await statusOf(url, target, "HEAD")).toBe(404)
  })

  it.skipIf(process.platform !== "linux")("responds 404 to a target that is neither a file nor a folder", async () => {
    execFileSync("mkfifo", [join(folder, "fifo")])
    socket = createServer().listen(join(folder, "socket"))
    await new Promise((listening) => socket?.once("listening", listening))
    for (const target of ["/fifo", "/fifo/", "/fifo/x", "/socket", "/socket/"]) {
      expect([target, await statusOf(url, target)]).toStrictEqual([target, 404])
    }
  })

  it.each(["/%", "/%2", "/%zz", "/%ff", "/%c0%ae%c0%ae/secret.txt", "/%ED%A0%80", "/a.txt%"])(
    "responds 400 to %s",
    async (target) => expect(await statusOf(url, target)).toBe(400)
  )

  it.each(["/a.txt", "/a%2Etxt", "//a.txt", "/links/", "/a.txt?x/../y"])("responds 200 to %s", async (target) =>
    expect(await statusOf(url, target)).toBe(200)
  )

  const ranges: ReadonlyArray<readonly [range: string, status: number, part: string]> = [
    ["bytes=0-0", 206, "0"],
    ["bytes=19-", 206, "j"],
    [`bytes=19-${"9".repeat(30)}`, 206, "j"],
    [`bytes=-${"9".repeat(30)}`, 206, content],
    ["bytes=20-", 416, "416\n"],
    ["bytes=20-20", 416, "416\n"],
    ["bytes=-0", 416, "416\n"],
    [`bytes=${"9".repeat(30)}-`, 416, "416\n"],
    ["bytes=0-0,-1", 200, content],
    ["bytes=0-0, 2-3", 200, content],
    ["bytes=2-1", 200, content],
    ["bytes", 200, content],
    ["octets=0-1", 200, content]
  ]

  it.each(ranges)("responds to a Range of %s with %d", async (range, status, part) => {
    const response = await byFetch({ method: "GET", url: `${url}/a.txt`, headers: { range } })
    expect([response.status, response.body.toString()]).toStrictEqual([status, part])
    if (status === 416) expect(response.headers.get("content-range")).toBe("bytes */20")
    const ofNothing = await byFetch({ method: "GET", url: `${url}/empty.txt`, headers: { range } })
    expect(ofNothing.status).toBe(status === 200 ? 200 : 416)
  })

  it(
    "breaks off a file that is truncated while it is sent, and sends one that is replaced as it was",
    async () => {
      for (const name of ["truncated", "replaced", "next"]) {
        writeFileSync(join(folder, name), Buffer.alloc(large, name[0]))
      }
      const read = (path: string, meanwhile: () => void) =>
        Effect.gen(function* () {
          const client = yield* connect(Number(new URL(url).port))
          yield* client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
          const begun = yield* client.readUntil((seen) => seen.length > 1000)
          yield* client.stopReading
          meanwhile()
          yield* client.resumeReading
          const rest = yield* client.readToEnd
          return begun.slice(begun.indexOf("\r\n\r\n") + 4) + rest.toString("latin1")
        }).pipe(Effect.scoped, Effect.runPromise)
      const cut = await read("/truncated", () => truncateSync(join(folder, "truncated"), large / 2))
      expect(cut.length).toBeLessThan(large)
      const whole = await read("/replaced", () => renameSync(join(folder, "next"), join(folder, "replaced")))
      expect(whole === "r".repeat(large)).toBe(true)
      expect(await statusOf(url, "/a.txt")).toBe(200)
    },
    timeout
  )

  it.skipIf(process.platform !== "linux")(
    "responds 403 for a file that it may not read",
    async () => {
      const guarded = makeFolder()
      chmodSync(join(guarded, ".."), 0o755)
      for (const name of ["a.txt", "sub"]) chmodSync(join(guarded, name), 0)
      try {
        await withProgram(
          "examples/staticFolder.ts",
          { FOLDER: guarded },
          async (url) => {
            for (const target of ["/a.txt", "/sub/index.html", "/sub/"]) {
              for (const method of ["GET", "HEAD"]) {
                expect([target, await statusOf(url, target, method)]).toStrictEqual([target, 403])
              }
            }
            expect(await statusOf(url, "/a.html")).toBe(200)
          },
          // Root may read everything, and may run a program as another user.
          process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined
        )
      } finally {
        removeFolder(guarded)
      }
    },
    timeout
  )
})

describe("examples/router.ts", () => {
  it(
    "responds 413 to a body that is too large, and 400 to one that is no JSON",
    () =>
      withProgram("examples/router.ts", {}, async (url) => {
        const post = (body: string) =>
          byFetch({ method: "POST", url: `${url}/people`, headers: { "content-type": "application/json" }, body })
        const tooLarge = await post(JSON.stringify({ name: "x".repeat(11 * 1024 * 1024), born: 1 }))
        expect([tooLarge.status, Object.keys(JSON.parse(tooLarge.body.toString()))]).toStrictEqual([413, ["message"]])
        expect((await post("{")).status).toBe(400)
        expect((await post('{"name":"Ada"}')).status).toBe(400)
        expect((await post('{"name":"Ada","born":1815}')).status).toBe(201)
      }),
    timeout
  )
})
