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

const FaultyKey: unique symbol = Symbol.for("effect-asynchttpserver/testing/Faulty")

interface Faulty extends Request {
  readonly [FaultyKey]: Recorded
}

const isFaulty = (request: Request): request is Faulty => FaultyKey in request

/** The same request, which faults know the record of. */
export const makeFaultHandler = (request: Request, recorded: Recorded): Request =>
  Object.create(request, { [FaultyKey]: { value: recorded } })

const recordedOf = (request: Request): Recorded => {
  if (isFaulty(request)) return request[FaultyKey]
  throw new Error("a fault happens to connections of a TestServer: this request came to another server")
}

/** The exchange of a handler behind a fault: it waits when the fault is full, which no deadline of the server's is for. */
class TappedExchange extends DelegatingExchange {
  constructor(
    inner: Exchange,
    private readonly tap: FaultSink
  ) {
    super(inner)
  }

  override readonly isBackpressured: Exchange["isBackpressured"] = () =>
    this.tap.isFull() || this.inner.isBackpressured()

  override get awaitWritable(): Exchange["awaitWritable"] {
    return Effect.suspend(() => (this.tap.isFull() ? this.tap.hasRoom : this.inner.awaitWritable))
  }
}

/** What a fault does with an answer, and whether the connection goes on behind it. */
export type FaultProgram<E = never, R = never> = (flow: FaultedExchange) => Effect.Effect<"GoesOn" | "IsOver", E, R>

/** One fault on one request. */
export class FaultedExchange {
  readonly connection: TrackedConnection
  private readonly before: FaultSink | undefined
  readonly tap: FaultSink
  /** The status of what the handler has answered. */
  private status: number | undefined

  constructor(private readonly recorded: Recorded) {
    this.connection = recorded.by
    this.before = this.connection.tap
    this.tap = new FaultSink(this.before ?? this.connection.wire)
    this.connection.tap = this.tap
  }

  /** The handler has answered. */
  finish({ status }: Responded): void {
    this.status = status
    this.tap.finish()
  }

  /** Ends the connection behind the whole answer, with which nothing is wrong. */
  endAfter(how: Ending): Effect.Effect<"IsOver"> {
    return Effect.suspend(() => {
      if (this.status !== undefined) this.recorded.conclude({ _tag: "Responded", status: this.status })
      return Effect.as(this.tap.endBelow(how), "IsOver" as const)
    })
  }

  /** Says what became of the request, unless that is known. */
  complete(by: Extract<Outcome, { readonly _tag: "Faulted" }>["by"]): void {
    this.recorded.conclude({ _tag: "Faulted", by, sent: this.tap.sent })
  }

  /** Ends the connection behind what was sent. */
  end(how: "close" | "reset"): Effect.Effect<"IsOver"> {
    return Effect.suspend(() => {
      this.complete(how)
      return Effect.as(this.tap.endBelow(how), "IsOver" as const)
    })
  }

  /** Says nothing more, and leaves the connection as it is. */
  readonly stall: Effect.Effect<"IsOver"> = Effect.suspend(() => {
    this.tap.shut()
    this.complete("stall")
    return Effect.never
  })

  /** Leaves the connection to whoever had it before, but for one that nothing more is to be said on. */
  leave(isOver: boolean): void {
    if (isOver) {
      this.tap.shut()
      return
    }
    this.tap.passOn()
    if (this.connection.tap === this.tap) this.connection.tap = this.before
  }
}

/** What the server has gathered in this turn leaves in a microtask that was asked for before this one. */
const awaitFlush: Effect.Effect<void> = Effect.promise(() => Promise.resolve())

/** Waits for the end of its connection, by which it is interrupted. */
const suspended: Effect.Effect<never> = Effect.interruptible(Effect.never)

const pipeThrough = <E, R, E2, R2>(
  flow: FaultedExchange,
  handled: Effect.Effect<Responded, E, R>,
  valve: FaultProgram<E2, R2>
): Effect.Effect<Responded, E | E2, R | R2> =>
  Effect.gen(function* () {
    const { tap } = flow
    const pump = yield* valve(flow).pipe(
      Effect.flatMap((end) => Effect.map(tap.endAsTold, (isTold) => (isTold ? "IsOver" : end))),
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
    flow.finish(exit.value)
    const end = yield* Effect.interruptible(Fiber.join(pump))
    return end === "GoesOn" ? exit.value : yield* suspended
  })

/** A handler that has no answer but its fault. */
export const replaceResponse =
  (valve: (flow: FaultedExchange, request: Request) => Effect.Effect<"IsOver">): Handler<never, never> =>
  (request) =>
    aroundResponse(
      () => suspended,
      (flow) => valve(flow, request)
    )(request)

/** A handler whose answer passes through a fault. */
export const aroundResponse =
  <E, R, E2 = never, R2 = never>(handler: Handler<E, R>, valve: FaultProgram<E2, R2>): Handler<E | E2, R | R2> =>
  (request) =>
    Effect.acquireUseRelease(
      // What is on its way belongs to the answers before.
      Effect.zipRight(
        awaitFlush,
        Effect.sync(() => new FaultedExchange(recordedOf(request)))
      ),
      (flow) =>
        pipeThrough(
          flow,
          Effect.suspend(() => handler(withExchange(request, new TappedExchange(request[ExchangeKey], flow.tap)))),
          valve
        ),
      (flow) => Effect.sync(() => flow.leave(flow.tap.isShut))
    )
