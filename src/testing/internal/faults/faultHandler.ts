/** Handlers with a fault between them and the client, and the outcome that a fault records. */
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

/** The same request, from which a fault can get the record. */
export const withRecorded = (request: Request, recorded: Recorded): Request =>
  Object.create(request, { [RecordedKey]: { value: recorded } })

const recordedOf = (request: Request): Recorded => {
  if (isFaultable(request)) return request[RecordedKey]
  throw new Error("Fault requires a TestServer: this request was received by another server")
}

/** Exchange of a handler inside a fault: full buffers of the fault are backpressure, without a deadline of the server. */
class FaultSinkExchange extends DelegatingExchange {
  constructor(
    inner: Exchange,
    private readonly sink: FaultSink
  ) {
    super(inner)
  }

  override readonly mustSuspendWriter: Exchange["mustSuspendWriter"] = () =>
    this.sink.isFull() || this.inner.mustSuspendWriter()

  override get awaitTurnToWrite(): Exchange["awaitTurnToWrite"] {
    return Effect.suspend(() => (this.sink.isFull() ? this.sink.awaitWritable : this.inner.awaitTurnToWrite))
  }
}

/** What a fault does with a response. The result decides whether the connection continues after it. */
export type FaultProgram<E = never, R = never> = (
  exchange: FaultedExchange
) => Effect.Effect<"Continue" | "Ended", E, R>

/** One fault applied to one request. */
export class FaultedExchange {
  readonly connection: TrackedConnection
  private readonly outer: FaultSink | undefined
  readonly sink: FaultSink
  /** The status of the handler's response, once complete. */
  private status: number | undefined

  constructor(private readonly recorded: Recorded) {
    this.connection = recorded.trackedConnection
    this.outer = this.connection.faultSink
    this.sink = new FaultSink(this.outer ?? this.connection.socketSink)
    this.connection.faultSink = this.sink
  }

  finish({ status }: Responded): void {
    this.status = status
    this.sink.finish()
  }

  /** Ends the connection after a complete and valid response. */
  endAfter(how: Ending): Effect.Effect<"Ended"> {
    return Effect.suspend(() => {
      if (this.status !== undefined) this.recorded.setOutcome({ _tag: "Responded", status: this.status })
      return Effect.as(this.sink.endConnection(how), "Ended" as const)
    })
  }

  /** Records the fault as the outcome of the request, unless it already has one. */
  recordFault(fault: Extract<Outcome, { readonly _tag: "Faulted" }>["fault"]): void {
    this.recorded.setOutcome({ _tag: "Faulted", fault, sent: this.sink.sent })
  }

  end(how: "close" | "reset"): Effect.Effect<"Ended"> {
    return Effect.suspend(() => {
      this.recordFault(how)
      return Effect.as(this.sink.endConnection(how), "Ended" as const)
    })
  }

  /** Sends nothing more, and leaves the connection open. */
  readonly stall: Effect.Effect<"Ended"> = Effect.suspend(() => {
    this.sink.close()
    this.recordFault("stall")
    return Effect.never
  })

  /** Restores the outer sink, unless nothing more may be sent on the connection. */
  release(isClosed: boolean): void {
    if (isClosed) {
      this.sink.close()
      return
    }
    this.sink.flush()
    if (this.connection.faultSink === this.sink) this.connection.faultSink = this.outer
  }
}

/** The server flushes its write buffer in a microtask that was queued before this one. */
const awaitFlush: Effect.Effect<void> = Effect.promise(() => Promise.resolve())

/** Suspended until the end of the connection interrupts it. */
const suspended: Effect.Effect<never> = Effect.interruptible(Effect.never)

const pipeThrough = <E, R, E2, R2>(
  exchange: FaultedExchange,
  handled: Effect.Effect<Responded, E, R>,
  program: FaultProgram<E2, R2>
): Effect.Effect<Responded, E | E2, R | R2> =>
  Effect.gen(function* () {
    const { sink } = exchange
    const pump = yield* program(exchange).pipe(
      Effect.flatMap((end) => Effect.map(sink.forwardEnd, (hasEnded) => (hasEnded ? "Ended" : end))),
      Effect.interruptible,
      Effect.fork
    )
    const exit = yield* Effect.exit(handled)
    yield* awaitFlush
    if (Exit.isFailure(exit)) {
      // The server handles the failure, which is the outcome of the request.
      yield* Fiber.interrupt(pump)
      return yield* exit
    }
    exchange.finish(exit.value)
    const end = yield* Effect.interruptible(Fiber.join(pump))
    return end === "Continue" ? exit.value : yield* suspended
  })

/** A handler that responds with a fault only. */
export const replaceResponse =
  (program: (exchange: FaultedExchange, request: Request) => Effect.Effect<"Ended">): Handler<never, never> =>
  (request) =>
    aroundResponse(
      () => suspended,
      (exchange) => program(exchange, request)
    )(request)

/** A handler whose response passes through a fault. */
export const aroundResponse =
  <E, R, E2 = never, R2 = never>(handler: Handler<E, R>, program: FaultProgram<E2, R2>): Handler<E | E2, R | R2> =>
  (request) =>
    Effect.acquireUseRelease(
      // Buffered bytes belong to earlier responses.
      Effect.zipRight(
        awaitFlush,
        Effect.sync(() => new FaultedExchange(recordedOf(request)))
      ),
      (exchange) =>
        pipeThrough(
          exchange,
          Effect.suspend(() =>
            handler(withExchange(request, new FaultSinkExchange(request[ExchangeKey], exchange.sink)))
          ),
          program
        ),
      (exchange) => Effect.sync(() => exchange.release(exchange.sink.isClosed))
    )
