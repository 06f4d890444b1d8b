/**
 * A listener without sockets: connections made in memory, whose client is the test. Every write, pause and end of the
 * server is seen one by one, and no time passes but the test clock's.
 */
import { expect } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Address from "../../src/Address.js"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import type { Answered } from "../../src/Errors.js"
import * as Listener from "../../src/Listener.js"
import * as RequestParser from "../../src/RequestParser.js"
import type { Handler } from "../../src/Response.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import { type Answer, parseAnswer } from "../wire/answer.js"
import { eventually, Facts, turns } from "../wire/facts.js"
import { quiet, Reports } from "./harness.js"

let lastId = 0

export class MemoryConnection implements Listener.Connection {
  readonly id = ++lastId
  readonly local = Option.none()
  readonly remote = Option.some(Address.tcp("192.0.2.7", 4711, "IPv4"))

  /** What each call of `write` sent, as latin1. */
  readonly writes: Array<string> = []
  pauses = 0
  resumes = 0
  /** How the server ended it, first. */
  ending: "end" | "destroy" | undefined
  /** Whether the client answers the server's FIN with its own, as clients do. */
  endsToo = true

  private readonly facts = new Facts()
  private events: Listener.ConnectionEvents | undefined
  private readonly incoming: Array<() => void> = []
  private isPaused = false
  private isClosed = false
  private full = false
  private read = 0

  // The client's side.

  /** Sends bytes; they wait while the server does not read. */
  send(bytes: string | Uint8Array): void {
    const buffer = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes)
    this.arrive(() => this.events?.onBytes(buffer))
  }

  /** FIN. */
  halfClose(): void {
    this.arrive(() => this.events?.onEnd())
  }

  /** RST: seen at once, unless the server does not read. */
  reset(): void {
    this.arrive(() => this.close())
  }

  /** From now on what is written waits for the client, or no longer does. */
  setFull(full: boolean): void {
    const drains = this.full && !full
    this.full = full
    if (drains) this.events?.onDrain()
  }

  get written(): string {
    return this.writes.join("")
  }

  /** The next answer. */
  answer(method = "GET"): Effect.Effect<Answer> {
    return this.facts.until(
      () => {
        const bytes = Buffer.from(this.written, "latin1").subarray(this.read)
        const answer = parseAnswer(bytes, method, this.ending !== undefined)
        if (answer !== undefined) this.read += answer.length
        return answer
      },
      () => `an answer; written: ${JSON.stringify(this.written)}`
    )
  }

  /** Waits for the server to end it. */
  readonly ended: Effect.Effect<"end" | "destroy"> = this.facts.until(
    () => this.ending,
    () => `an end; written: ${JSON.stringify(this.written)}`
  )

  readonly opened: Effect.Effect<void> = Effect.asVoid(
    this.facts.until(
      () => this.events,
      () => "the connection to be opened"
    )
  )

  /** Waits until the server has written something. */
  readonly writing: Effect.Effect<void> = Effect.asVoid(
    this.facts.until(
      () => this.writes[0],
      () => "something to be written"
    )
  )

  // The server's side.

  open(events: Listener.ConnectionEvents): void {
    this.events = events
    this.facts.changed()
    this.deliver()
  }

  pause(): void {
    this.pauses++
    this.isPaused = true
    this.facts.changed()
  }

  resume(): void {
    this.resumes++
    this.isPaused = false
    this.deliver()
  }

  write(parts: ReadonlyArray<string | Uint8Array>): void {
    this.writes.push(
      parts.map((part) => (typeof part === "string" ? part : Buffer.from(part).toString("latin1"))).join("")
    )
    this.facts.changed()
  }

  isFull(): boolean {
    return this.full
  }

  unsent(): number {
    return this.full ? 1 : 0
  }

  end(): void {
    this.ending ??= "end"
    this.facts.changed()
    if (this.endsToo) this.arrive(() => this.close())
  }

  destroy(): void {
    this.ending ??= "destroy"
    this.facts.changed()
    queueMicrotask(() => this.close())
  }

  private arrive(event: () => void): void {
    this.incoming.push(event)
    this.deliver()
  }

  private deliver(): void {
    queueMicrotask(() => {
      while (this.events !== undefined && !this.isPaused && !this.isClosed) {
        const event = this.incoming.shift()
        if (event === undefined) return
        event()
      }
    })
  }

  private close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.events?.onClose()
    this.facts.changed()
  }
}

export interface InMemory {
  readonly server: Server.Server
  /** A connection that has been opened by the server. */
  readonly connect: Effect.Effect<MemoryConnection>
}

/** A server whose connections are made by the test. */
export const makeInMemory = (options: Server.Options = {}): Effect.Effect<InMemory, never, Scope.Scope> =>
  Effect.gen(function* () {
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
      DescriptorBudget.layer({ max: 1000 })
    )
    const live = Layer.provide(Server.layerWithoutDependencies({ drainTimeout: 0, ...options }), rooms)
    const context = yield* Layer.build(live)
    const connect = Effect.gen(function* () {
      const connection = new MemoryConnection()
      yield* Queue.offer(arrivals, connection)
      yield* connection.opened
      return connection
    })
    return { server: Context.get(context, Server.Server), connect }
  })

export const servingInMemory = <E extends Answered, R>(
  handler: Handler<E, R>,
  options: Server.Options = {}
): Effect.Effect<InMemory, never, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const made = yield* makeInMemory(options)
    yield* Effect.provide(Effect.forkScoped(made.server.serve(handler)), quiet)
    return made
  })

export const servingInMemoryReported = <E, R>(
  handler: Handler<E, R>,
  options: Server.Options = {}
): Effect.Effect<InMemory & { reports: Reports<E> }, never, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const made = yield* makeInMemory(options)
    const reports = new Reports<E>()
    yield* Effect.provide(Effect.forkScoped(made.server.serve(handler, { onFailure: reports.onFailure })), quiet)
    return { ...made, reports }
  })

/** Lets everything that can happen without time happen. */
export const settled: Effect.Effect<void> = turns(5)

/** Waits until the sweep of deadlines sleeps until that time of the test clock. */
export const sleepsUntil = (milliseconds: number): Effect.Effect<void> =>
  Effect.asVoid(
    eventually(
      Effect.map(TestClock.sleeps(), (sleeps) => Array.from(sleeps)),
      (sleeps) => sleeps.includes(milliseconds),
      `asleep until ${milliseconds}`
    )
  )

/** Moves the test clock when the sweep is asleep until a time, and lets follow what follows. */
export const advance = (milliseconds: number): Effect.Effect<void> =>
  Effect.zipRight(settled, Effect.zipRight(TestClock.adjust(milliseconds), settled))

/** That a connection goes on: the server has said nothing more, and has not ended it. */
export const expectOpen = (connection: MemoryConnection, written = ""): void => {
  expect(connection.ending).toBe(undefined)
  expect(connection.written).toBe(written)
}
