/**
 * Our server, running over connections in memory: bytes in pieces, then FIN, and what became of it. Nothing waits for
 * time: whatever the bytes are, the server ends the connection, since its client has.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Address from "../../src/Address.js"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import * as Listener from "../../src/Listener.js"
import * as RequestParser from "../../src/RequestParser.js"
import { type Handler, respond } from "../../src/Response.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import type { Seen } from "./view.js"

/** What the server did: what its handler was given, and the statuses of its final answers. */
export interface Served {
  readonly requests: ReadonlyArray<Seen>
  readonly statuses: ReadonlyArray<number>
  /** The last answer says that the request was not whole. */
  readonly isIncomplete: boolean
}

let lastId = 0

class Wire implements Listener.Connection {
  readonly id = ++lastId
  readonly local = Option.none()
  readonly remote = Option.none()
  readonly requests: Array<Seen> = []
  private written = ""
  private events: Listener.ConnectionEvents | undefined
  private isPaused = false
  private isOver = false
  private sent = 0

  constructor(
    private readonly pieces: ReadonlyArray<Buffer>,
    private readonly settled: (served: Served) => void
  ) {}

  open(events: Listener.ConnectionEvents): void {
    this.events = events
    queueMicrotask(() => this.deliver())
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    queueMicrotask(() => this.deliver())
  }

  write(parts: ReadonlyArray<string | Uint8Array>): void {
    for (const each of parts) this.written += typeof each === "string" ? each : Buffer.from(each).toString("latin1")
  }

  isFull(): boolean {
    return false
  }

  unsent(): number {
    return 0
  }

  end(): void {
    this.leave()
  }

  destroy(): void {
    this.leave()
  }

  /** One piece a turn: the server looks at each before it is given the next. */
  private deliver(): void {
    if (this.isPaused || this.isOver || this.sent > this.pieces.length) return
    const piece = this.pieces[this.sent++]
    if (piece === undefined) this.events?.onEnd()
    else this.events?.onBytes(piece)
    queueMicrotask(() => this.deliver())
  }

  private leave(): void {
    if (this.isOver) return
    this.isOver = true
    queueMicrotask(() => {
      this.events?.onClose()
      const statuses = Array.from(this.written.matchAll(/^HTTP\/1\.1 ([2-5][0-9]{2}) /gm), ([, status]) =>
        Number(status)
      )
      const isIncomplete = this.written.endsWith("the request ended before its end\n")
      this.settled({ requests: this.requests, statuses, isIncomplete })
    })
  }
}

/** Notes a request before it reads the body, and again when it has it; a body that is malformed fails the handler. */
const handler =
  (wires: ReadonlyMap<number, Wire>): Handler =>
  (request) => {
    const requests = wires.get(request.client.id)?.requests ?? []
    const seen: Seen = {
      method: request.method,
      target: request.originalUrl,
      version: request.version.original,
      fields: Array.from(request.headers).flat(),
      body: "",
      trailers: [],
      ended: false
    }
    requests.push(seen)
    return Effect.flatMap(Effect.zip(request.bytes, request.trailers), ([bytes, trailers]) => {
      requests.pop()
      const body = Buffer.from(bytes).toString("latin1")
      requests.push({ ...seen, body, trailers: Array.from(trailers).flat(), ended: true })
      return respond(request, 200)
    })
  }

/** Gives a connection its bytes, and FIN behind them; never, when the server does not end it. */
export type Serve = (pieces: ReadonlyArray<Buffer>) => Promise<Served>

/** A server without sockets, until the scope ends. */
export const running: Effect.Effect<Serve, never, Scope.Scope> = Effect.gen(function* () {
  const wires = new Map<number, Wire>()
  const arrivals = yield* Queue.unbounded<Listener.Connection>()
  const bound: Listener.Bound = {
    address: Address.tcp("192.0.2.1", 80, "IPv4"),
    connections: Stream.fromQueue(arrivals),
    accept: Queue.take(arrivals),
    waiting: Queue.size(arrivals),
    refused: Effect.succeed(0)
  }
  const rooms = Layer.mergeAll(
    Layer.succeed(Listener.Listener, { listen: () => Effect.succeed(bound) }),
    RequestParser.layer,
    ResponseWriter.layer,
    DescriptorBudget.layer({ max: 100_000 }),
    Logger.remove(Logger.defaultLogger)
  )
  const live = Layer.provide(Server.layerWithoutDependencies({ drainTimeout: 0 }), rooms)
  const context = yield* Layer.build(live)
  const serve = Effect.flatMap(Server.Server, (server) => server.serve(handler(wires)))
  yield* Effect.forkScoped(Effect.provide(serve, context))
  return (pieces) =>
    new Promise((resolve) => {
      const wire: Wire = new Wire(pieces, (served) => {
        wires.delete(wire.id)
        resolve(served)
      })
      wires.set(wire.id, wire)
      Queue.unsafeOffer(arrivals, wire)
    })
})
