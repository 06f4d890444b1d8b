/**
 * Real clients over TLS, IPv6 and Unix domain sockets, and what the defaults of TLS allow. A client that is not installed is
 * skipped, with a line that says so.
 */
import { execFile, spawn } from "node:child_process"
import { createHash, X509Certificate } from "node:crypto"
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { Agent, request as httpsRequest } from "node:https"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { type Request, Response, Server, type Tls } from "effect-asynchttpserver"
import { Agent as UndiciAgent, request as undiciRequest } from "undici"
import { afterAll, beforeAll, describe } from "vitest"
import { hasChromium, launch, withPage } from "../browser/chromium.js"
import { authority, localhost } from "./harness.js"

const isInstalled = (name: string): boolean => {
  const isFound = (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  if (!isFound) console.warn(`${name} is not on the PATH: the tests that need it are skipped`)
  return isFound
}

let folder: string
let file: { readonly ca: string; readonly cert: string; readonly key: string }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "clients-"))
  const client = await authority.issue({ names: ["client.example"], commonName: "Ann" })
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  file = {
    ca: write("ca.pem", authority.cert),
    cert: write("client.pem", client.cert),
    key: write("client.key", client.key)
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const describeSession = (request: Request.Request): string =>
  Option.match(request.client.tls, {
    onNone: () => "no TLS",
    onSome: ({ clientCertificate, isResumed, protocol }) =>
      [
        protocol,
        isResumed ? "resumed" : "new",
        ...Option.toArray(Option.flatMap(clientCertificate, ({ commonName }) => commonName))
      ].join(" ")
  })

const handler = (request: Request.Request) =>
  Effect.flatMap(request.text, (body) => Response.respond(request, 200, `${describeSession(request)}:${body}`))

const serving = (options: Server.Options) =>
  Effect.gen(function* () {
    const server = yield* Effect.provide(
      Server.make({ address: "127.0.0.1", drainTimeout: 0, ...options }),
      Server.layerDependencies
    )
    const address = yield* server.listen()
    yield* Effect.forkScoped(server.serve(handler))
    return address._tag === "TcpAddress" ? address.port : 0
  })

const secure = (policy: Tls.Policy = {}) => serving({ tls: { ...localhost, ca: authority.cert, ...policy } })

interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program, whose standard input ends at once unless there is some. */
const run = (program: string, args: ReadonlyArray<string>, input = ""): Effect.Effect<Output> =>
  Effect.async((resume) => {
    const child = execFile(program, args, { timeout: 20_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) =>
      resume(Effect.succeed({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }))
    )
    child.stdin?.on("error", () => {})
    child.stdin?.end(input)
  })

describe.skipIf(!isInstalled("curl"))("curl", () => {
  const curl = (...args: ReadonlyArray<string>) =>
    run("curl", ["--silent", "--show-error", "--max-time", "15", ...args])

  it.scopedLive.each([
    ["--tlsv1.2", "1.2", "TLSv1.2 new:"],
    ["--tlsv1.3", "1.3", "TLSv1.3 new:"]
  ] as const)("%s", ([option, max, content]) =>
    Effect.gen(function* () {
      const port = yield* secure()
      const result = yield* curl(option, "--tls-max", max, "--cacert", file.ca, `https://localhost:${port}/`)
      expect([result.stderr, result.stdout]).toStrictEqual(["", content])
    })
  )

  it.scopedLive("does not trust the certificate of an unknown authority", () =>
    Effect.flatMap(secure(), (port) =>
      // The exit code of curl for a certificate that cannot be verified.
      Effect.map(curl(`https://localhost:${port}/`), ({ code }) => expect(code).toBe(60))
    )
  )

  it.scopedLive("--cert, and without one where it is required", () =>
    Effect.gen(function* () {
      const port = yield* secure({ clientCertificates: "require" })
      const url = `https://localhost:${port}/`
      const known = yield* curl("--cacert", file.ca, "--cert", file.cert, "--key", file.key, url)
      expect(known.stdout).toBe("TLSv1.3 new Ann:")
      const unknown = yield* curl("--cacert", file.ca, url)
      expect([unknown.code === 0, unknown.stdout]).toStrictEqual([false, ""])
    })
  )

  it.scopedLive("uploads and keeps the connection", () =>
    Effect.gen(function* () {
      const port = yield* secure()
      const path = join(folder, "upload")
      writeFileSync(path, "x".repeat(1_000_000))
      const args = ["--cacert", file.ca, "--data-binary", `@${path}`, "--write-out", "%{num_connects}"]
      const url = `https://localhost:${port}/`
      const { stdout } = yield* curl(...args, url, url)
      expect(createHash("sha256").update(stdout).digest("hex")).toBe(
        createHash("sha256")
          .update(`TLSv1.3 new:${"x".repeat(1_000_000)}1TLSv1.3 new:${"x".repeat(1_000_000)}0`)
          .digest("hex")
      )
    })
  )

  it.scopedLive("--unix-socket, with and without TLS", () =>
    Effect.gen(function* () {
      const [path, securePath] = [join(folder, "a.sock"), join(folder, "b.sock")]
      yield* serving({ path, additional: [{ path: securePath, tls: localhost }] })
      expect((yield* curl("--unix-socket", path, "http://localhost/")).stdout).toBe("no TLS:")
      const result = yield* curl("--unix-socket", securePath, "--cacert", file.ca, "https://localhost/")
      expect(result.stdout).toBe("TLSv1.3 new:")
    })
  )

  // Before Node 22 the name is padded with NUL bytes, which curl cannot ask for.
  const hasAbstractNames = process.platform === "linux" && Number.parseInt(process.versions.node, 10) >= 22

  it.scopedLive.skipIf(!hasAbstractNames)("--abstract-unix-socket", () =>
    Effect.gen(function* () {
      const name = `clients-test-${process.pid}`
      yield* serving({ path: `\0${name}` })
      expect((yield* curl("--abstract-unix-socket", name, "http://localhost/")).stdout).toBe("no TLS:")
    })
  )

  it.scopedLive("-6", () =>
    Effect.gen(function* () {
      const port = yield* serving({ address: "::1", domain: "IPv6", tls: localhost })
      const result = yield* curl("-6", "--cacert", file.ca, `https://[::1]:${port}/`)
      expect([result.stderr, result.stdout]).toStrictEqual(["", "TLSv1.3 new:"])
    })
  )

  it.scopedLive("plain HTTP on the port", () =>
    Effect.gen(function* () {
      const port = yield* secure({ onHandshakeError: () => Effect.void })
      const { stdout } = yield* curl("--write-out", "%{http_code}", `http://localhost:${port}/`)
      expect(stdout).toMatch(/use https\.\n400$/)
    })
  )
})

describe.skipIf(!isInstalled("openssl"))("openssl s_client", () => {
  const client = (
    port: number,
    args: ReadonlyArray<string>,
    input = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
  ) =>
    run(
      "openssl",
      ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "localhost", "-CAfile", file.ca, ...args],
      input
    )

  it.scopedLive.each([
    ["-tls1_2", "TLSv1.2"],
    ["-tls1_3", "TLSv1.3"]
  ] as const)("%s", ([option, protocol]) =>
    Effect.gen(function* () {
      const { stdout } = yield* client(yield* secure(), [option, "-ign_eof"])
      expect(stdout).toContain(`${protocol} new:`)
      expect(stdout).toContain("Verify return code: 0 (ok)")
      expect(stdout).toContain("Compression: NONE")
      if (protocol === "TLSv1.2") expect(stdout).toContain("Secure Renegotiation IS supported")
    })
  )

  it.scopedLive.each([
    ["TLS 1.0", ["-tls1"]],
    ["TLS 1.1", ["-tls1_1"]],
    ["RSA key exchange", ["-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"]],
    ["CBC", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"]],
    ["3DES and RC4", ["-tls1_2", "-cipher", "3DES:RC4:@SECLEVEL=0"]],
    ["no authentication", ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"]],
    ["no encryption", ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"]],
    ["finite-field Diffie-Hellman", ["-tls1_2", "-cipher", "kDHE:@SECLEVEL=0"]]
  ] as const)("is refused with %s", ([, options]) =>
    Effect.gen(function* () {
      const port = yield* secure({ onHandshakeError: () => Effect.void })
      const { code, stdout } = yield* client(port, options)
      expect(code).not.toBe(0)
      expect(stdout).not.toContain("HTTP/1.1 200")
    })
  )

  it.scopedLive("does not renegotiate", () =>
    Effect.gen(function* () {
      const port = yield* secure()
      const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-tls1_2", "-CAfile", file.ca]
      const output = yield* Effect.async<string>((resume) => {
        const child = spawn("openssl", args, { stdio: "pipe" })
        let all = ""
        let isAsked = false
        const onOutput = (bytes: Buffer): void => {
          all += bytes
          if (isAsked || !all.includes("Verify return code")) return
          isAsked = true
          // A line of one R asks for a renegotiation.
          child.stdin.write("R\n")
        }
        child.stdout.on("data", onOutput)
        child.stderr.on("data", onOutput)
        child.on("close", () => resume(Effect.succeed(all)))
        return Effect.sync(() => void child.kill())
      })
      expect(output).toMatch(/RENEGOTIATING[\s\S]*no renegotiation/)
    })
  )

  it.scopedLive.each(["-tls1_2", "-tls1_3"] as const)("resumes a session with %s", (option) =>
    Effect.gen(function* () {
      const port = yield* secure()
      const path = join(folder, `session${option}`)
      yield* client(port, [option, "-ign_eof", "-sess_out", path])
      const { stdout } = yield* client(port, [option, "-ign_eof", "-sess_in", path])
      expect(stdout).toContain("resumed:")
    })
  )

  it.scopedLive("that leaves at once, with and without a handshake, does not stop the server", () =>
    Effect.gen(function* () {
      const port = yield* secure({ onHandshakeError: () => Effect.void })
      yield* client(port, ["-tls1_3"], "")
      yield* client(port, ["-tls1_2", "-no_ign_eof"], "Q\n")
      expect((yield* client(port, ["-ign_eof"])).stdout).toContain("TLSv1.3 new:")
    })
  )
})

describe("clients in JavaScript", () => {
  it.scopedLive("Node's https, with an agent that keeps its connection", () =>
    Effect.gen(function* () {
      const port = yield* secure({ clientCertificates: "request" })
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.cert })
      yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
      const ask = (body: string) =>
        Effect.async<string, Error>((resume) => {
          const request = httpsRequest({ port, host: "localhost", agent, method: "POST" }, (response) => {
            let all = ""
            response.on("data", (bytes) => {
              all += bytes
            })
            response.on("end", () => resume(Effect.succeed(`${request.reusedSocket} ${all}`)))
          })
          request.on("error", (error) => resume(Effect.fail(error)))
          request.end(body)
        })
      expect(yield* ask("one")).toBe("false TLSv1.3 new:one")
      expect(yield* ask("two")).toBe("true TLSv1.3 new:two")
    })
  )

  it.scopedLive("undici, over TLS (which offers HTTP/2 too) and a Unix domain socket", () =>
    Effect.gen(function* () {
      const path = join(folder, "undici.sock")
      const port = yield* serving({ tls: localhost, additional: [{ path }] })
      const ask = (url: string, dispatcher: UndiciAgent) =>
        Effect.promise(async () => {
          const { body } = await undiciRequest(url, { method: "POST", body: "content", dispatcher })
          const text = await body.text()
          await dispatcher.close()
          return text
        })
      const tlsAgent = new UndiciAgent({ allowH2: true, connect: { ca: authority.cert } })
      expect(yield* ask(`https://localhost:${port}/`, tlsAgent)).toBe("TLSv1.3 new:content")
      expect(yield* ask("http://localhost/", new UndiciAgent({ connect: { socketPath: path } }))).toBe("no TLS:content")
    })
  )
})

const python = `
import http.client, socket, ssl, sys
ca, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=ca)
connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=15)
for body in ("one", "two"):
    connection.request("POST", "/", body)
    print(connection.getresponse().read().decode())
connection.close()
class Local(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
connection = Local("localhost")
connection.request("GET", "/")
print(connection.getresponse().read().decode())
connection.close()
`

describe.skipIf(!isInstalled("python3"))("Python", () => {
  it.scopedLive("http.client over TLS and a Unix domain socket", () =>
    Effect.gen(function* () {
      const path = join(folder, "python.sock")
      const port = yield* serving({ tls: localhost, additional: [{ path }] })
      const { stderr, stdout } = yield* run("python3", ["-c", python, file.ca, String(port), path])
      expect([stderr, stdout]).toStrictEqual(["", "TLSv1.3 new:one\nTLSv1.3 new:two\nno TLS:\n"])
    })
  )
})

describe.skipIf(!hasChromium)("Chromium", () => {
  it.scopedLive("loads a page over TLS, whose certificate it trusts by its key", () =>
    Effect.gen(function* () {
      const port = yield* secure()
      const key = new X509Certificate(localhost.cert).publicKey.export({ type: "spki", format: "der" })
      const hash = createHash("sha256").update(key).digest("base64")
      const text = yield* Effect.promise(async () => {
        const browser = await launch([`--ignore-certificate-errors-spki-list=${hash}`])
        try {
          let text: string | null = null
          await withPage(browser, async (page) => {
            await page.goto(`https://localhost:${port}/`)
            text = await page.textContent("body")
          })
          return text
        } finally {
          await browser.close()
        }
      })
      expect(text).toBe("TLSv1.3 new:")
    })
  )
})
