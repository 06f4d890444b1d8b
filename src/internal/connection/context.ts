/** State shared by all connections of a server: limits, timeouts, parser pool, registry. */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { BodyBudget, type Budget, make } from "../../BodyBudget.js"
import type { Budget as DescriptorBudget } from "../../DescriptorBudget.js"
import { defaults, type Limits } from "../../Limits.js"
import type { Request } from "../../Request.js"
import { type Parser, RequestParser } from "../../RequestParser.js"
import type { Handler } from "../../Response.js"
import { ResponseWriter, type Writer } from "../../ResponseWriter.js"
import { AdmissionLog, bodyGate } from "../budget/admissionLog.js"
import type { TrustedProxies } from "../message/forwarded.js"
import { currentRecorder, type MetricRecorder } from "../metrics.js"
import type { RequestRuntime } from "../runtime/requestRuntime.js"
import { ConnectionRegistry } from "./connectionRegistry.js"
import { DeadlineTimer } from "./deadlineTimer.js"
import { LingeringConnections } from "./lingeringClose.js"

export interface ConnectionContext {
  readonly limits: Limits
  readonly parsers: ParserPool
  readonly makeWriter: () => Writer
  /** Records with the tags with which the server was made. */
  readonly metrics: MetricRecorder
  readonly registry: ConnectionRegistry
  readonly timer: DeadlineTimer
  readonly lingering: LingeringConnections
  /** Counts the bytes of bodies that are read whole. */
  readonly bodyBudget: Budget
  readonly bodyAdmissionLog: AdmissionLog
  readonly onClientEnd: "continue" | "interrupt"
  readonly connectMethod: "reject" | "handle"
  readonly unknownMethods: "reject" | "handle"
  /** `undefined` if no proxy is trusted. */
  readonly proxies: TrustedProxies | undefined
  readonly timeouts: ReturnType<typeof timeoutsOf>
  /** The value of `Keep-Alive` on persistent connections; `undefined` if nothing is announced. */
  readonly keepAliveHint: string | undefined
}

/** `timeout` in whole seconds, rounded down, and `max` if requests per connection are limited. */
const keepAliveHintOf = ({ keepAliveTimeout, maxRequestsPerConnection }: Limits): string | undefined => {
  const seconds = Math.floor(Duration.toSeconds(keepAliveTimeout))
  if (seconds === Number.POSITIVE_INFINITY) return undefined
  return maxRequestsPerConnection === Number.POSITIVE_INFINITY
    ? `timeout=${seconds}`
    : `timeout=${seconds}, max=${maxRequestsPerConnection}`
}

/** The timeouts of `Limits`, in milliseconds. */
const timeoutsOf = (limits: Limits) => ({
  keepAlive: Duration.toMillis(limits.keepAliveTimeout),
  header: Duration.toMillis(limits.headerTimeout),
  body: Duration.toMillis(limits.bodyTimeout),
  halfClosed: Duration.toMillis(limits.halfCloseTimeout),
  inactivity: Duration.toMillis(limits.inactivityTimeout),
  bodyTotal: Duration.toMillis(limits.bodyTotalTimeout),
  bufferedBody: Duration.toMillis(limits.bufferedBodyTimeout),
  write: Duration.toMillis(limits.writeTimeout)
})

/** A handler, with the runtime of its fibers and its failure reporting. */
export interface RequestHandler<E, R> {
  readonly metrics: MetricRecorder
  readonly runtime: RequestRuntime
  /** Opened when the shutdown of its server, or of its `serve`, begins. */
  readonly shutdownLatch: Effect.Latch
  readonly handler: Handler<E, R>
  /** Reports every failure with a 500 response, or without a response. */
  readonly report: (cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R>
  /** Logs every request whose client disconnected; `undefined` if its log level is disabled. */
  readonly reportAbort: ((cause: Cause.Cause<unknown>, request: Request) => Effect.Effect<void>) | undefined
}

/** As many as a busy server reads with at once; further ones are made, and dropped. */
const maxIdleParsers = 64

/**
 * A pool of pristine parsers. A parser is pristine after a request, so a connection holds one only within a request: of
 * 10,000 persistent connections most are idle, and a parser takes 600 bytes.
 */
class ParserPool {
  private readonly idle: Array<Parser> = []

  constructor(private readonly make: () => Parser) {}

  acquire(): Parser {
    return this.idle.pop() ?? this.make()
  }

  release(parser: Parser): void {
    if (this.idle.length < maxIdleParsers) this.idle.push(parser)
  }
}

/** The `BodyBudget` of the Effect context, unless `maxBufferedBodies` is given; otherwise one of this server alone. */
const bodyBudgetOf = ({ maxBufferedBodies: max }: Limits): Effect.Effect<Budget> =>
  Effect.flatMap(Effect.serviceOption(BodyBudget), (given) =>
    Option.isSome(given) && max === defaults.maxBufferedBodies
      ? Effect.succeed(given.value)
      : // An invalid limit was rejected before.
        Effect.orDie(make({ max }))
  )

/** Makes the shared state; the deadline timer stops when the scope closes. */
export const makeConnectionContext = (
  limits: Limits,
  budget: DescriptorBudget,
  policies: Pick<ConnectionContext, "connectMethod" | "onClientEnd" | "proxies" | "unknownMethods">
): Effect.Effect<ConnectionContext, never, Scope.Scope | RequestParser | ResponseWriter> =>
  Effect.gen(function* () {
    const parser = yield* RequestParser
    const writer = yield* ResponseWriter
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime<never>()
    const bodyBudget = yield* bodyBudgetOf(limits)
    const registry = new ConnectionRegistry()
    const timer = new DeadlineTimer(clock, runtime, registry)
    const lingering = new LingeringConnections(limits)
    const stopReclaiming = budget.unsafeOnShortage((missing) => lingering.reclaim(missing))
    yield* Scope.addFinalizer(
      yield* Effect.scope,
      Effect.sync(() => {
        timer.stop()
        stopReclaiming()
      })
    )
    return {
      limits,
      parsers: new ParserPool(() => parser.make(limits, policies)),
      makeWriter: writer.make,
      metrics: yield* currentRecorder,
      registry,
      timer,
      lingering,
      ...policies,
      bodyBudget,
      bodyAdmissionLog: new AdmissionLog(bodyBudget, clock, bodyGate),
      timeouts: timeoutsOf(limits),
      keepAliveHint: keepAliveHintOf(limits)
    }
  })
