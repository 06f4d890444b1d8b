/**
 * Descriptors that listen already: passed on by a parent process, as systemd does.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, openSync, rmSync } from "node:fs"
import { createServer, type ListenOptions } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Server, TcpListener } from "effect-asynchttpserver"
import { ask, requestText, unixEndpoint } from "../support/rawClient.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const program = fileURLToPath(new URL("descriptorProcess.ts", import.meta.url))

interface Activated {
  /** The addresses that the process reports. */
  readonly addresses: ReadonlyArray<unknown>
  readonly exited: Promise<number | null>
  readonly end: () => void
}

/** A process that serves on the descriptors of these listening sockets, from 3 on. */
const activated = (places: ReadonlyArray<ListenOptions>, environment: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const servers = await Promise.all(
        places.map(
          (place) =>
            new Promise<ReturnType<typeof createServer>>((resolve) => {
              const server = createServer().listen(place, () => resolve(server))
            })
        )
      )
      const ports = servers.map((server) => (server.address() as { readonly port?: number }).port ?? 0)
      // The descriptor of a server is not in the public type.
      const descriptors = servers.map((server) => (server as unknown as { _handle: { fd: number } })._handle.fd)
      const child = spawn(
        process.execPath,
        ["--conditions=effect-asynchttpserver-source", "--import", "tsx", program],
        {
          cwd: root,
          stdio: ["pipe", "pipe", "inherit", ...descriptors],
          env: { ...process.env, ...environment }
        }
      )
      const exited = new Promise<number | null>((resolve) => child.once("exit", resolve))
      let output = ""
      const line = new Promise<string>((resolve, reject) => {
        child.stdout?.on("data", (bytes) => {
          output += bytes
          if (output.includes("\n")) resolve(output)
        })
        void exited.then((code) => reject(new Error(`the process has exited: ${code}`)))
      })
      const { addresses } = JSON.parse(await line)
      const result: Activated = { addresses, exited, end: () => child.stdin?.end() }
      return { ...result, ports, child, servers }
    }),
    ({ child, servers }) =>
      Effect.sync(() => {
        child.kill("SIGKILL")
        for (const server of servers) server.close()
      })
  )

describe("a descriptor that listens already", () => {
  it.scopedLive("of TCP and of a Unix domain socket, by LISTEN_FDS", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "listening-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const path = join(directory, "app.sock")
      const made = yield* activated([{ port: 0, host: "127.0.0.1" }, { path }], { LISTEN_FDS: "2" })
      const port = made.ports[0]!
      expect(made.addresses).toStrictEqual([
        { _tag: "TcpAddress", hostname: "127.0.0.1", port, family: "IPv4" },
        { _tag: "UnixAddress", path: "" }
      ])
      // The sockets are shared with this process, which does not accept.
      for (const server of made.servers) server.close()
      expect((yield* ask(port, requestText("GET /"))).text).toBe("from a descriptor")
      // The file was removed by `close`, of the process that bound it.
      made.end()
      expect(yield* Effect.promise(() => made.exited)).toBe(0)
    })
  )

  it.scopedLive("is reached at the path of its Unix domain socket", () =>
    Effect.gen(function* () {
      const path = `\0descriptor-test-${process.pid}`
      const made = yield* activated([{ path }], { LISTEN_FDS: "1" })
      for (const server of made.servers) server.close()
      expect((yield* ask(unixEndpoint(path), requestText("GET /"))).text).toBe("from a descriptor")
      made.end()
      expect(yield* Effect.promise(() => made.exited)).toBe(0)
    })
  )

  it.scopedLive("is not beside a path", () =>
    Effect.gen(function* () {
      const server = yield* Effect.provide(Server.make(), Server.layerDependencies)
      const error = yield* Effect.flip(server.listen({ fd: 3, path: "/tmp/unused.sock" }))
      expect(error).toMatchObject({ _tag: "ValueError", reason: "Option", actual: "fd: 3, with a path" })
    })
  )

  it.scopedLive.each([-1, 1.5, Number.NaN])("is not %d", (fd) =>
    Effect.gen(function* () {
      const server = yield* Effect.provide(Server.make(), Server.layerDependencies)
      const error = yield* Effect.flip(server.listen({ fd }))
      expect(error).toMatchObject({ _tag: "ValueError", reason: "Option", actual: `fd: ${fd}` })
    })
  )

  it.scopedLive.each([
    ["one that is not open", (): number => 100_000],
    ["a file", (): number => openSync("/dev/null", "r")]
  ] as const)("is not %s: an OSError", ([, open]: readonly [string, () => number]) =>
    Effect.gen(function* () {
      const server = yield* Effect.provide(Server.make(), Server.layerDependencies)
      expect(yield* Effect.flip(server.listen({ fd: open() }))).toMatchObject({ _tag: "OSError", code: "EINVAL" })
      expect(yield* server.budget.held).toBe(0)
    })
  )
})

describe("the descriptors of systemd", () => {
  const withEnvironment = (pid: string | undefined, count: string | undefined) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const { LISTEN_FDS, LISTEN_PID } = process.env
        for (const [name, value] of [
          ["LISTEN_PID", pid],
          ["LISTEN_FDS", count]
        ] as const) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
        return { LISTEN_FDS, LISTEN_PID }
      }),
      () => TcpListener.systemdDescriptors,
      (before) =>
        Effect.sync(() => {
          for (const [name, value] of Object.entries(before)) {
            if (value === undefined) delete process.env[name]
            else process.env[name] = value
          }
        })
    )

  const own = String(process.pid)

  it.live.each([
    ["are those from 3 on", own, "3", [3, 4, 5]],
    ["are none of another process", "1", "3", []],
    ["are none without LISTEN_PID", undefined, "3", []],
    ["are none without LISTEN_FDS", own, undefined, []],
    ["are none for zero", own, "0", []],
    ["are none for text", own, "many", []]
  ] as const)("%s", ([, pid, count, expected]) =>
    Effect.map(withEnvironment(pid, count), (descriptors) => expect(descriptors).toStrictEqual(expected))
  )
})
