/**
 * The playground, row by row: every route by three clients and over raw sockets, with its bytes.
 */
import { createHash } from "node:crypto"
import { Agent } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { byAgent, byCurl, byFetch, type Call, type Client, hasCurl, raw } from "./client.js"
import { type Program, start } from "./program.js"

const timeout = 120_000

let program: Program
const agent = new Agent({ keepAlive: true, maxSockets: 4 })

beforeAll(async () => {
  program = await start("examples/playground.ts")
}, timeout)

afterAll(async () => {
  agent.destroy()
  const { stdout, ...ended } = await program.stop("SIGTERM")
  expect(ended).toStrictEqual({ code: 0, signal: null, stderr: "" })
  expect(stdout).toBe(`Listening on ${program.url}\n`)
}, timeout)

const plain = "text/plain; charset=utf-8"
const binary = "application/octet-stream"

const big = Buffer.from(Uint8Array.from({ length: 1_048_576 }, (_, i) => 97 + (i % 26)))

interface Row {
  readonly method: string
  readonly path: string
  readonly body?: string
  readonly status: number
  /** What has to be among the response's headers; `undefined` for what must not be there. */
  readonly expected: { readonly [name: string]: string | undefined }
  readonly content: string | Buffer
}

const row = (
  method: string,
  path: string,
  status: number,
  expected: Row["expected"],
  content: Row["content"],
  sent: Pick<Row, "body"> = {}
): Row => ({ method, path, status, expected, content, ...sent })

/** GET with its content, and HEAD with the same headers and none. */
const getAndHead = (path: string, status: number, expected: Row["expected"], content: Row["content"]) => [
  row("GET", path, status, expected, content),
  row("HEAD", path, status, expected, "")
]

const sized = (type: string, length: number): Row["expected"] => ({
  "content-type": type,
  "content-length": String(length),
  "transfer-encoding": undefined
})

const noLength: Row["expected"] = { "content-length": undefined, "transfer-encoding": undefined }

const methodNotAllowed = (method: string, path: string, allow: string): Row =>
  row(method, path, 405, { allow }, "method not allowed", method === "POST" ? { body: "" } : {})

const rows: ReadonlyArray<Row> = [
  ...getAndHead("/", 200, sized(plain, 2), "ok"),
  row("GET", "/?a=1", 200, sized(plain, 2), "ok"),
  row("POST", "/echo", 200, sized(binary, 5), "a\0\r\nb", { body: "a\0\r\nb" }),
  row("POST", "/echo", 200, sized(binary, 0), "", { body: "" }),
  ...["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) =>
    row(method, "/method", 200, sized(plain, method.length), method)
  ),
  row("HEAD", "/method", 200, sized(plain, 4), ""),
  ...getAndHead("/url", 200, sized(plain, 4), "/url"),
  ...getAndHead("/url/a%2Fb/c?d=e&f", 200, sized(plain, 18), "/url/a%2Fb/c?d=e&f"),
  ...getAndHead("/204", 204, noLength, ""),
  ...getAndHead("/204-body", 204, noLength, ""),
  ...getAndHead("/304", 304, { ...noLength, etag: '"x"' }, ""),
  ...getAndHead("/big", 200, sized(binary, 1_048_576), big),
  row(
    "GET",
    "/stream",
    200,
    { "content-type": plain, "content-length": undefined },
    "chunk-0\nchunk-1\nchunk-2\nchunk-3\nchunk-4\n"
  ),
  row("HEAD", "/stream", 200, { "content-type": plain, "content-length": undefined }, ""),
  row("HEAD", "/stream-fail", 200, { "content-type": plain, "content-length": undefined }, ""),
  ...getAndHead("/slow", 200, sized(plain, 4), "slow"),
  ...getAndHead("/split", 200, { ...sized(plain, 5), "x-split": undefined, "x-injected": undefined }, "split"),
  row("POST", "/ignore", 200, sized(plain, 7), "ignored", { body: "unread" }),
  row("POST", "/refuse", 403, sized(plain, 7), "refused", { body: "unread" }),
  ...["GET", "POST", "DELETE"].map((method) => row(method, "/boom", 500, {}, "500 Internal Server Error\n")),
  row("HEAD", "/boom", 500, {}, ""),
  ...["/", "/url", "/url/x", "/204", "/204-body", "/304", "/big", "/stream", "/stream-fail", "/slow", "/split"].map(
    (path) => methodNotAllowed("POST", path, "GET, HEAD")
  ),
  ...["/echo", "/ignore", "/refuse"].map((path) => methodNotAllowed("GET", path, "POST")),
  methodNotAllowed("DELETE", "/headers", "GET, HEAD, POST"),
  ...["/nothing", "/echo/", "/urls", "/ok?/", "/constructor", "/__proto__"].map((path) =>
    row("GET", path, 404, {}, "not found")
  ),
  row("HEAD", "/nothing", 404, {}, "")
]

const clients: ReadonlyArray<readonly [name: string, client: Client, isHere: boolean]> = [
  ["http.Agent", byAgent(agent), true],
  ["fetch", byFetch, true],
  ["curl", byCurl, hasCurl]
]

const callOf = (path: string, { method = "GET", ...rest }: Partial<Call> = {}): Call => ({
  ...rest,
  method,
  url: `${program.url}${path}`
})

const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex")

describe.each(clients)("by %s", (name, client, isHere) => {
  const missing = isHere ? "" : ` (skipped: there is no ${name} here)`

  it.skipIf(!isHere).concurrent.each(rows)(`$method $path -> $status${missing}`, async (row) => {
    const { body, headers, status } = await client(callOf(row.path, { method: row.method, body: row.body }))
    expect(status).toBe(row.status)
    expect(Object.keys(row.expected).map((name) => [name, headers.get(name)])).toStrictEqual(
      Object.entries(row.expected)
    )
    expect(headers.get("date")).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
    const content = Buffer.from(row.content)
    expect([body.length, md5(body)]).toStrictEqual([content.length, md5(content)])
  })

  it.skipIf(!isHere).concurrent.each(["GET", "POST"])(
    `%s /headers gives the fields as they were received${missing}`,
    async (method) => {
      const headers = { "X-Two": "b, c", "x-one": "A" }
      const content = method === "POST" ? "read to its end" : undefined
      const { body, headers: received, status } = await client(callOf("/headers", { method, headers, body: content }))
      expect([status, received.get("content-type")]).toStrictEqual([200, "application/json"])
      const fields: ReadonlyArray<readonly [string, string]> = JSON.parse(body.toString())
      const names = fields.map(([name]) => name.toLowerCase())
      expect(names).toContain("host")
      const own = new Map(fields.map(([name, value]) => [name.toLowerCase(), value]))
      expect([own.get("x-two"), own.get("x-one")]).toStrictEqual(["b, c", "A"])
    }
  )

  // fetch chooses the framing of a body itself.
  const framings = name === "fetch" ? ["Content-Length"] : ["Content-Length", "Transfer-Encoding"]

  it.skipIf(!isHere).concurrent.each(framings)(`1 MiB is echoed by %s${missing}`, async (framing) => {
    const headers = framing === "Transfer-Encoding" ? { "Transfer-Encoding": "chunked" } : {}
    const { body, status } = await client(callOf("/echo", { method: "POST", headers, body: big }))
    expect([status, body.length, md5(body)]).toStrictEqual([200, big.length, md5(big)])
  })

  it.skipIf(!isHere).concurrent(`GET /stream-fail breaks${missing}`, async () => {
    await expect(client(callOf("/stream-fail"))).rejects.toThrow()
  })
})

/** A request as it is sent, the last of its connection by default. */
const request = (line: string, fields: ReadonlyArray<string> = ["Connection: close"], body = ""): string =>
  [`${line} HTTP/1.1`, "Host: playground", ...fields, "", body].join("\r\n")

const kept: ReadonlyArray<string> = []

const ask = (...requests: ReadonlyArray<string>): Promise<string> => raw(program.url, requests.join(""))

/** The response's content: everything after the first header section. */
const contentOf = (response: string): string => response.slice(response.indexOf("\r\n\r\n") + 4)

describe.concurrent("on the wire", () => {
  it("/stream leaves piece by piece, 20 ms apart", async () => {
    const started = performance.now()
    const response = await ask(request("GET /stream"))
    expect(performance.now() - started).toBeGreaterThan(75)
    const chunks = [0, 1, 2, 3, 4].map((i) => `8\r\nchunk-${i}\n\r\n`)
    expect(contentOf(response)).toBe(`${chunks.join("")}0\r\n\r\n`)
  })

  it("/stream for HTTP/1.0 ends with the connection", async () => {
    const response = await ask("GET /stream HTTP/1.0\r\n\r\n")
    expect(response).not.toMatch(/^transfer-encoding/im)
    expect(contentOf(response)).toBe("chunk-0\nchunk-1\nchunk-2\nchunk-3\nchunk-4\n")
  })

  it("/stream-fail breaks after its first piece, and does not send the error", async () => {
    const response = await ask(request("GET /stream-fail", kept), request("GET /"))
    expect(response).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(contentOf(response)).toBe("8\r\npartial\n\r\n")
  })

  it("/boom does not send the error, and the connection continues", async () => {
    const response = await ask(request("GET /boom", kept), request("GET /"))
    expect(response).not.toContain("secret-detail")
    expect(response).toMatch(/^HTTP\/1\.1 500 [\s\S]*HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nok$/)
  })

  it("/split writes nothing of the header that was rejected", async () => {
    const response = await ask(request("GET /split"))
    expect(response).not.toMatch(/x-split|x-injected/i)
    expect(contentOf(response)).toBe("split")
  })

  it("/headers keeps case, order and repetition, and leaves trailers out", async () => {
    const fields = ["x-A: 1", "X-a: 2", "Connection: close", "Trailer: x-late", "Transfer-Encoding: chunked"]
    const response = await ask(request("POST /headers", fields, "1\r\na\r\n0\r\nx-late: 3\r\n\r\n"))
    expect(JSON.parse(contentOf(response))).toStrictEqual([
      ["Host", "playground"],
      ...fields.map((field) => field.split(": "))
    ])
  })

  it("/url gives path and query of any form of target, undecoded", async () => {
    const sent = ["/url/%41?a=%20&b", "http://elsewhere:81/url?x", "/url?"]
    const responses = await Promise.all(sent.map((target) => ask(request(`GET ${target}`))))
    expect(responses.map(contentOf)).toStrictEqual(["/url/%41?a=%20&b", "/url?x", "/url?"])
  })

  it("/method responds to TRACE too; CONNECT and unknown methods are 501", async () => {
    expect(contentOf(await ask(request("TRACE /method")))).toBe("TRACE")
    expect(await ask("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 501 /)
    expect(await ask(request("BREW /method"))).toMatch(/^HTTP\/1\.1 501 /)
  })

  it("/refuse and /ignore respond without reading the body", async () => {
    for (const [path, status] of [
      ["/refuse", 403],
      ["/ignore", 200]
    ]) {
      const response = await ask(request(`POST ${path}`, ["Content-Length: 5", "Expect: 100-continue"]))
      expect(response).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(response).toMatch(/^Connection: close\r$/m)
    }
  })

  it("/echo asks for the body when the client waits for that", async () => {
    const fields = ["Content-Length: 2", "Expect: 100-continue", "Connection: close"]
    const response = await ask(request("POST /echo", fields, "hi"))
    expect(response).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nhi$/)
  })

  it("responds to pipelined requests in order, however long each takes", async () => {
    const response = await ask(
      request("GET /slow", kept),
      request("POST /echo", ["Content-Length: 3"], "one"),
      request("HEAD /big", kept),
      request("POST /ignore", ["Transfer-Encoding: chunked"], "3\r\nxyz\r\n0\r\n\r\n"),
      request("GET /204", kept),
      request("GET /nothing")
    )
    const lines = response.split(/(?=HTTP\/1\.1 )/).map((each) => [each.slice(9, 12), contentOf(each)])
    expect(lines).toStrictEqual([
      ["200", "slow"],
      ["200", "one"],
      ["200", ""],
      ["200", "ignored"],
      ["204", ""],
      ["404", "not found"]
    ])
  })
})

describe.concurrent("settings", () => {
  it("a connection that sends nothing is closed silently after about 4 s", async () => {
    const started = performance.now()
    expect(await raw(program.url, "")).toBe("")
    expect(performance.now() - started).toBeGreaterThan(3900)
  }, 30_000)

  it("a header section or a body that stops arriving is 408 after about 4 s", async () => {
    const responses = await Promise.all([
      raw(program.url, "GET / HTTP/1.1\r\n"),
      raw(program.url, request("POST /echo", ["Content-Length: 3"], "ab"))
    ])
    for (const response of responses) expect(response).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/)
  }, 30_000)
})

describe("HOST", () => {
  it(
    "is the address that is listened on, and no other",
    async () => {
      const other = await start("examples/playground.ts", { HOST: "127.0.0.2" })
      try {
        expect(new URL(other.url).hostname).toBe("127.0.0.2")
        expect(await raw(other.url, request("GET /"))).toMatch(/ok$/)
        await expect(raw(other.url.replace("127.0.0.2", "127.0.0.1"), request("GET /"))).rejects.toThrow("ECONNREFUSED")
      } finally {
        expect((await other.stop("SIGINT")).code).toBe(0)
      }
    },
    timeout
  )
})
