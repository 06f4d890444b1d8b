/** A row for each fault, and what a client reports. */
import { expect } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { Response } from "effect-asynchttpserver"
import { Fault, TestServer } from "effect-asynchttpserver/testing"
import { type Client, codeOf } from "./clients.js"

const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello World")

/** Longer than the head of `hello`, shorter than its response. */
const inContent = 130

const hour = "1 hour"

export interface FaultRow {
  readonly fault: string
  readonly handler?: Response.Handler | undefined
  /** Run on the server before the request. */
  readonly before?: ((server: TestServer.TestServer) => Effect.Effect<void>) | undefined
  readonly body?: Uint8Array | undefined
  /** The client still waits once the server has settled. */
  readonly isWaitedFor?: boolean | undefined
  /** The result of a second request, after the server has settled. */
  readonly isSecond?: boolean | undefined
}

export const faultRows: ReadonlyArray<FaultRow> = [
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
    fault: "`closeAfterBytes(Infinity)`, the next request",
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
  { fault: "`duplicate`, the next request", handler: Fault.duplicate(hello), isSecond: true },
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

/** What a client reports: a status and what follows, or an error. */
export const reportOf = (clientOf: (server: TestServer.TestServer) => Client, row: FaultRow) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make(row.handler ?? hello, { maxBody: 10_000_000 })
    const client = clientOf(server)
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
