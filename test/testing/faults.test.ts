/**
 * What clients report of each fault: measured, and beside it the table that says so in src/testing/faults.md.
 *
 * `FAULTS=write` writes the table anew. Other versions of the clients have other words, and are only served.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { Response } from "effect-asynchttpserver"
import { Fault, TestServer } from "effect-asynchttpserver/testing"
import { root } from "../docs/blocks.js"
import { type Client, clients, codeOf } from "./clients.js"

const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello World")

/** Longer than the head of `hello`, shorter than its answer. */
const inContent = 130

const hour = "1 hour"

interface Row {
  readonly fault: string
  readonly handler?: Response.Handler | undefined
  /** What is done to the server before. */
  readonly before?: ((server: TestServer.TestServer) => Effect.Effect<void>) | undefined
  readonly body?: Uint8Array | undefined
  /** No client has what it waits for when nothing happens any more. */
  readonly isWaitedFor?: boolean | undefined
  /** It is asked once before, and nothing happens any more. */
  readonly isSecond?: boolean | undefined
}

const rows: ReadonlyArray<Row> = [
  { fault: "`server.down`", before: (server) => server.down },
  { fault: "`closeAtAccept()`", before: (server) => server.endAtAccept("close") },
  { fault: "`resetAtAccept()`", before: (server) => server.endAtAccept("reset") },
  { fault: "`closeAfterRequest`", handler: Fault.closeAfterRequest },
  { fault: "`resetAfterRequest`", handler: Fault.resetAfterRequest },
  { fault: "`closeAfterBytes(n)` in the head", handler: Fault.closeAfterBytes(20)(hello) },
  { fault: "`resetAfterBytes(n)` in the head", handler: Fault.resetAfterBytes(20)(hello) },
  { fault: "`closeAfterBytes(n)` in the content", handler: Fault.closeAfterBytes(inContent)(hello) },
  { fault: "`resetAfterBytes(n)` in the content", handler: Fault.resetAfterBytes(inContent)(hello) },
  { fault: "`closeAfterBytes(Infinity)`", handler: Fault.closeAfterBytes(Number.POSITIVE_INFINITY)(hello) },
  {
    fault: "`closeAfterBytes(Infinity)`, the request behind it",
    handler: Fault.closeAfterBytes(Number.POSITIVE_INFINITY)(hello),
    isSecond: true
  },
  { fault: "`halfClose`", handler: Fault.halfClose(hello) },
  { fault: "`slowClose(duration)`", handler: Fault.slowClose(hour)(hello) },
  { fault: "`truncate(n)`", handler: Fault.truncate(1)(hello) },
  { fault: "`badChunk`", handler: Fault.badChunk(hello) },
  { fault: "`missingLastChunk`", handler: Fault.missingLastChunk(hello) },
  { fault: "`garbage`", handler: Fault.garbage },
  { fault: "`duplicate`", handler: Fault.duplicate(hello) },
  { fault: "`duplicate`, the request behind it", handler: Fault.duplicate(hello), isSecond: true },
  { fault: "`informational(50)`", handler: Fault.informational(50)(hello) },
  { fault: "`informational(1, 102)`", handler: Fault.informational(1, 102)(hello) },
  { fault: "`never`", handler: Fault.never, isWaitedFor: true },
  { fault: "`stallAfterBytes(n)` in the head", handler: Fault.stallAfterBytes(20)(hello), isWaitedFor: true },
  { fault: "`stallAfterBytes(n)` in the content", handler: Fault.stallAfterBytes(inContent)(hello), isWaitedFor: true },
  {
    fault: "`stopReading`, of 8 MB",
    handler: Fault.stopReading,
    body: new Uint8Array(8_000_000),
    isWaitedFor: true
  },
  { fault: "`latency({ mean })`", handler: Fault.latency({ mean: hour })(hello), isWaitedFor: true },
  { fault: "`slowHeaders(duration)`", handler: Fault.slowHeaders(hour)(hello), isWaitedFor: true },
  {
    fault: "`throttle({ bytes, every })`",
    handler: Fault.throttle({ bytes: 50, every: hour })(hello),
    isWaitedFor: true
  }
]

/** What a client reports: a status, and what follows; or what it has instead of one. */
const reportOf = (client: Client, row: Row) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make(row.handler ?? hello, { maxBody: 10_000_000 })
    yield* row.before?.(server) ?? Effect.void
    let status = ""
    const asked = Effect.tryPromise({
      try: (signal) =>
        client({
          url: server.url,
          body: row.body,
          signal,
          onStatus: (code) => {
            status = `${code}, then `
          }
        }),
      catch: codeOf
    }).pipe(
      Effect.match({
        onFailure: (code) => `${status}\`${code}\``,
        onSuccess: (content) => (content === "Hello World" ? "200" : `200: ${content}`)
      })
    )
    const fiber = yield* Effect.fork(asked)
    if (row.isSecond === true) {
      yield* Effect.zipRight(Fiber.join(fiber), server.settle)
      return yield* asked
    }
    if (row.isWaitedFor !== true) return yield* Fiber.join(fiber)
    yield* server.takeRequest
    yield* server.settle
    expect(yield* fiber.poll).toStrictEqual(Option.none())
    yield* Fiber.interrupt(fiber)
    return `${status}waits`
  }).pipe(Effect.scoped)

const file = `${root}src/testing/faults.md`

const marks = /(?<=<!-- faults: [^>]* -->\n\n)[\s\S]*?(?=\n\n<!-- faults end -->)/

const major = (version: string): string => version.split(".")[0] ?? ""

const undici: { readonly version: string } = JSON.parse(readFileSync(`${root}node_modules/undici/package.json`, "utf8"))

/** Of these the table is; the numbers behind the first change none of it. */
const versions = `Node ${major(process.versions.node)}, undici ${major(undici.version)}`

const tableOf = (measured: ReadonlyArray<ReadonlyArray<string>>): string =>
  [
    ["", ...Object.keys(clients).map((name) => `\`${name}\``)],
    ["---", ...Object.keys(clients).map(() => "---")],
    ...measured
  ]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")

describe("what clients report", () => {
  const measured: Array<ReadonlyArray<string>> = []

  for (const row of rows) {
    // Real time: a client's own timers are.
    it.live(row.fault, () =>
      Effect.gen(function* () {
        const reports: Array<string> = []
        for (const client of Object.values(clients)) reports.push(yield* reportOf(client, row))
        measured.push([row.fault, ...reports])
      })
    )
  }

  it("is what the table says", () => {
    expect(measured).toHaveLength(rows.length)
    const page = readFileSync(file, "utf8")
    const written = page
      .replace(/(?<=<!-- faults: )[^>]*(?= -->)/, () => versions)
      .replace(marks, () => tableOf(measured))
    if (process.env.FAULTS === "write") writeFileSync(file, written)
    else if (page.includes(`<!-- faults: ${versions} -->`)) expect(written).toBe(page)
  })
})
