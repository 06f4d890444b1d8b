/**
 * A fault around a handler: what stands between it and its client while it is at work, and what becomes of its request.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Exchange, ExchangeKey } from "../../../internal/message/exchange.js"
import type { Request } from "../../../Request.js"
import type { Handler, Responded } from "../../../Response.js"
import type { Outcome } from "../../RecordedRequest.js"
import type { Recorded } from "../recording/recorder.js"
import { withExchange } from "../recording/recordingExchange.js"
import type { TrackedConnection } from "../recording/trackedListener.js"
import { DelegatingExchange } from "../server/delegatingExchange.js"
import { type Ending, FaultSink } from "./responseSink.js"

const RecordedKey: unique symbol = Symbol.for("effect-asynchttpserver/testing/Faulty")

interface FaultableRequest extends Request {
  readonly [RecordedKey]: Recorded
}

const isFaultable = (request: Request): request is FaultableRequest => RecordedKey in request

/** The same request, which faults know the record of. */
export const withRecorded = (request: Request, recorded: Recorded): Request =>
  Object.create(request, { [RecordedKey]: { value: recorded } })

const recordedOf = (request: Request): Recorded => {
  if (isFaultable(request)) return request[RecordedKey]
  throw new Error("a fault happens to connections of a TestServer: this request came to another server")
}

/** The exchange of a handler behind a fault: it waits when the fault is full, which no deadline of the server's is for. */
class FaultSinkExchange extends DelegatingExchange {
  constructor(
    inner: Exchange,
    private readonly sink: FaultSink
  ) {
    super(inner)
  }

  override readonly isBackpressured: Exchange["isBackpressured"] = () =>
    this.sink.isFull() || this.inner.isBackpressured()

  override get awaitWritable(): Exchange["awaitWritable"] {
    return Effect.suspend(() => (this.sink.isFull() ? this.sink.hasRoom : this.inner.awaitWritable))
  }
}

/** What a fault does with an answer, and whether the connection goes on behind it. */
export type FaultProgram<E = never, R = never> = (exchange: FaultedExchange) => Effect.Effect<"Continue" | "Ended", E, R>

/** One fault on one request. */
export class FaultedExchange {
  readonly connection: TrackedConnection
  private readonly outer: FaultSink | undefined
  readonly sink: FaultSink
  /** The status of what the handler has answered. */
  private status: number | undefined

  constructor(private readonly recorded: Recorded) {
    this.connection = recorded.trackedConnection
    this.outer = this.connection.faultSink
    this.sink = new FaultSink(this.outer ?? this.connection.socketSink)
    this.connection.faultSink = this.sink
  }

  /** The handler has answered. */
  finish({ status }: Responded): void {
    this.status = status
    this.sink.finish()
  }

  /** Ends the connection behind the whole answer, with which nothing is wrong. */
  endAfter(how: Ending): Effect.Effect<"Ended"> {
    return Effect.suspend(() => {
      if (this.status !== undefined) this.recorded.setOutcome({ _tag: "Responded", status: this.status })
      return Effect.as(this.sink.endConnection(how), "Ended" as const)
    })
  }

  /** Says what became of the request, unless that is known. */
  recordFault(fault: Extract<Outcome, { readonly _tag: "Faulted" }>["fault"]): void {
    this.recorded.setOutcome({ _tag: "Faulted", fault, sent: this.sink.sent })
  }

  /** Ends the connection behind what was sent. */
  end(how: "close" | "reset"): Effect.Effect<"Ended"> {
    return Effect.suspend(() => {
      this.recordFault(how)
      return Effect.as(this.sink.endConnection(how), "Ended" as const)
    })
  }

  /** Says nothing more, and leaves the connection as it is. */
  readonly stall: Effect.Effect<"Ended"> = Effect.suspend(() => {
    this.sink.close()
    this.recordFault("stall")
    return Effect.never
  })

  /** Leaves the connection to whoever had it before, but for one that nothing more is to be said on. */
  release(isOver: boolean): void {
    if (isOver) {
      this.sink.close()
      return
    }
    this.sink.flush()
    if (this.connection.faultSink === this.sink) this.connection.faultSink = this.outer
  }
}

/** What the server has gathered in this turn leaves in a microtask that was asked for before this one. */
const awaitFlush: Effect.Effect<void> = Effect.promise(() => Promise.resolve())

/** Waits for the end of its connection, by which it is interrupted. */
const suspended: Effect.Effect<never> = Effect.interruptible(Effect.never)

const pipeThrough = <E, R, E2, R2>(
  exchange: FaultedExchange,
  handled: Effect.Effect<Responded, E, R>,
  program: FaultProgram<E2, R2>
): Effect.Effect<Responded, E | E2, R | R2> =>
  Effect.gen(function* () {
    const { sink } = exchange
    const pump = yield* program(exchange).pipe(
      Effect.flatMap((end) => Effect.map(sink.forwardEnd, (isTold) => (isTold ? "Ended" : end))),
      Effect.interruptible,
      Effect.fork
    )
    const exit = yield* Effect.exit(handled)
    yield* awaitFlush
    if (Exit.isFailure(exit)) {
      // The failure is what the request comes to, and the server's to answer.
      yield* Fiber.interrupt(pump)
      return yield* exit
    }
    exchange.finish(exit.value)
    const end = yield* Effect.interruptible(Fiber.join(pump))
    return end === "Continue" ? exit.value : yield* suspended
  })

/** A handler that has no answer but its fault. */
export const replaceResponse =
  (program: (exchange: FaultedExchange, request: Request) => Effect.Effect<"Ended">): Handler<never, never> =>
  (request) =>
    aroundResponse(
      () => suspended,
      (exchange) => program(exchange, request)
    )(request)

/** A handler whose answer passes through a fault. */
export const aroundResponse =
  <E, R, E2 = never, R2 = never>(handler: Handler<E, R>, program: FaultProgram<E2, R2>): Handler<E | E2, R | R2> =>
  (request) =>
    Effect.acquireUseRelease(
      // What is on its way belongs to the answers before.
      Effect.zipRight(
        awaitFlush,
        Effect.sync(() => new FaultedExchange(recordedOf(request)))
      ),
      (exchange) =>
        pipeThrough(
          exchange,
          Effect.suspend(() => handler(withExchange(request, new FaultSinkExchange(request[ExchangeKey], exchange.sink)))),
          program
        ),
      (exchange) => Effect.sync(() => exchange.release(exchange.sink.isClosed))
    )
