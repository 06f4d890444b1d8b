/**
 * Starts every example as a user would, calls it, and stops it by each of the two signals.
 */
import { Agent } from "node:http"
import { describe, expect, it } from "vitest"
import { byAgent, byFetch, type Client, type ClientResponse, raw } from "./client.js"
import { flags, run, start } from "./program.js"

const timeout = 120_000

const textOf = ({ body }: ClientResponse): string => body.toString()

const typeOf = ({ headers }: ClientResponse): string | undefined => headers.get("content-type")

/** Calls a server over one connection that is kept alive, and by `fetch`. */
const callers: ReadonlyArray<readonly [name: string, make: () => { client: Client; close: () => void }]> = [
  [
    "http.Agent",
    () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      return { client: byAgent(agent), close: () => agent.destroy() }
    }
  ],
  ["fetch", () => ({ client: byFetch, close: () => {} })]
]

interface Row {
  readonly file: string
  readonly env?: Readonly<Record<string, string>>
  readonly check: (client: Client, url: string) => Promise<void>
}

const plain = "text/plain; charset=utf-8"

const isHello: Row["check"] = async (client, url) => {
  for (const method of ["GET", "POST"]) {
    const response = await client({ method, url: `${url}/anything?at=all` })
    expect([response.status, typeOf(response), textOf(response)]).toStrictEqual([200, plain, "Hello World"])
  }
}

const rows: ReadonlyArray<Row> = [
  { file: "hello.ts", check: isHello },
  {
    file: "json.ts",
    check: async (client, url) => {
      const found = await client({ method: "GET", url: `${url}/hello-world` })
      expect([found.status, typeOf(found), textOf(found)]).toStrictEqual([
        200,
        "application/json",
        '{"message":"Hello World"}'
      ])
      const missing = await client({ method: "GET", url: `${url}/other` })
      expect([missing.status, textOf(missing)]).toStrictEqual([404, "Not Found"])
    }
  },
  { file: "acceptLoop.ts", check: isHello },
  {
    file: "echo.ts",
    check: async (client, url) => {
      const body = Buffer.from("é\0\r\n".repeat(30_000))
      const headers = { "Content-Type": "text/x-test" }
      const response = await client({ method: "POST", url, headers, body })
      expect([response.status, typeOf(response)]).toStrictEqual([200, "text/x-test"])
      expect(response.body.equals(body)).toBe(true)
      const empty = await client({ method: "GET", url })
      expect([empty.status, typeOf(empty), textOf(empty)]).toStrictEqual([200, "application/octet-stream", ""])
    }
  },
  {
    file: "layers.ts",
    env: { GREETING: "Good morning" },
    check: async (client, url) => {
      const headers = { "X-Client": "the test" }
      const ada = await client({ method: "GET", url: `${url}/people/ada`, headers })
      expect([ada.status, textOf(ada)]).toStrictEqual([200, "Good morning, Ada Lovelace! (to the test)"])
      const unknown = await client({ method: "GET", url: `${url}/people/bob`, headers })
      expect([unknown.status, textOf(unknown)]).toStrictEqual([404, "bob not found"])
      const anonymous = await client({ method: "GET", url: `${url}/people/ada` })
      expect([anonymous.status, textOf(anonymous)]).toStrictEqual([400, "400 Bad Request: no such header: x-client\n"])
    }
  }
]

describe.concurrent.each(rows)("examples/$file", ({ check, env, file }) => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "becomes ready, responds, and ends cleanly on %s",
    async (signal) => {
      const program = await start(`examples/${file}`, env)
      try {
        for (const [, make] of callers) {
          const { client, close } = make()
          await check(client, program.url)
          close()
        }
      } finally {
        const { stdout, ...ended } = await program.stop(signal)
        expect(ended).toStrictEqual({ code: 0, signal: null, stderr: "" })
        expect(stdout).toBe(`Listening on ${program.url}\n`)
      }
    },
    timeout
  )
})

describe.concurrent("examples/fixture.ts", () => {
  it(
    "prints the response and ends by itself",
    async () => {
      expect(await run("examples/fixture.ts")).toStrictEqual({
        code: 0,
        signal: null,
        stdout: "200 requested /things?id=1\n",
        stderr: ""
      })
    },
    timeout
  )
})

describe.concurrent("an example", () => {
  it(
    "ends cleanly while a client is silent, and another in the middle of a request",
    async () => {
      const program = await start("examples/hello.ts")
      const silent = raw(program.url, "")
      const halfway = raw(program.url, "GET / HTTP/1.1\r\nHost: a\r\n")
      // A later connection is served later: the two above have arrived by now.
      expect(await raw(program.url, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toMatch(/Hello World$/)
      const { code, stderr } = await program.stop("SIGTERM")
      expect([code, stderr, await silent, await halfway]).toStrictEqual([0, "", "", ""])
    },
    timeout
  )

  it(
    "reports an invalid port, and ends with 1",
    async () => {
      const { code, stdout } = await run("examples/hello.ts", { PORT: "65536" })
      expect(code).toBe(1)
      expect(stdout).toContain("the port is not a whole number from 0 to 65535: 65536")
    },
    timeout
  )
})

describe("npm start", () => {
  it("starts the examples with nothing but the source condition and tsx", () => {
    expect(flags).toStrictEqual(["--conditions=effect-asynchttpserver-source", "--import", "tsx"])
  })
})
