/**
 * What connections have in common, what serves them, and how they can end.
 *
 * @internal
 */
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
import { AdmissionLog, bodyMessages } from "../budget/admissionLog.js"
import type { RequestRuntime } from "../runtime/requestRuntime.js"
import { ConnectionRegistry } from "./connectionRegistry.js"
import { DeadlineTimer } from "./deadlineTimer.js"
import { LingeringConnections } from "./lingeringClose.js"

/** What all connections of a server have in common. */
export interface ConnectionContext {
  readonly limits: Limits
  readonly parsers: ParserPool
  readonly makeWriter: () => Writer
  readonly registry: ConnectionRegistry
  readonly timer: DeadlineTimer
  readonly lingering: LingeringConnections
  /** Counts the bodies that are read whole. */
  readonly bodyBudget: Budget
  readonly bodyAdmissionLog: AdmissionLog
  readonly onClientEnd: "continue" | "interrupt"
  readonly connectMethod: "reject" | "handle"
  readonly unknownMethods: "reject" | "handle"
  readonly timeouts: Timeouts
  /** The value of `Keep-Alive` on connections that go on; none where they go on without end. */
  readonly keepAliveHint: string | undefined
}

/** The deadlines of `Limits`, in milliseconds. */
export interface Timeouts {
  readonly keepAlive: number
  readonly header: number
  readonly body: number
  readonly bodyTotal: number
  readonly bufferedBody: number
  readonly halfClosed: number
  readonly inactivity: number
  readonly write: number
}

/** `timeout` in whole seconds, rounded down, and `max` where connections end by their number of requests. */
const keepAliveHintOf = ({ keepAliveTimeout, maxRequestsPerConnection }: Limits): string | undefined => {
  const seconds = Math.floor(Duration.toSeconds(keepAliveTimeout))
  if (seconds === Number.POSITIVE_INFINITY) return undefined
  return maxRequestsPerConnection === Number.POSITIVE_INFINITY
    ? `timeout=${seconds}`
    : `timeout=${seconds}, max=${maxRequestsPerConnection}`
}

export const timeoutsOf = (limits: Limits): Timeouts => ({
  keepAlive: Duration.toMillis(limits.keepAliveTimeout),
  header: Duration.toMillis(limits.headerTimeout),
  body: Duration.toMillis(limits.bodyTimeout),
  halfClosed: Duration.toMillis(limits.halfCloseTimeout),
  inactivity: Duration.toMillis(limits.inactivityTimeout),
  bodyTotal: Duration.toMillis(limits.bodyTotalTimeout),
  bufferedBody: Duration.toMillis(limits.bufferedBodyTimeout),
  write: Duration.toMillis(limits.writeTimeout)
})

/** What serves the requests of a connection. */
export interface RequestHandler<E, R> {
  readonly runtime: RequestRuntime
  /** Opened when what it serves is to end. */
  readonly shutdownLatch: Effect.Latch
  readonly handler: Handler<E, R>
  /** Told of every failure that was answered 500, or that could not be answered. */
  readonly report: (cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R>
  /** Told of every request whose client left, if anybody listens. */
  readonly reportAbort: ((cause: Cause.Cause<unknown>, request: Request) => Effect.Effect<void>) | undefined
}

/** As many as are reading at once on a busy server; more are made, and thrown away. */
const maxIdleParsers = 64

/**
 * Parsers that nobody uses. Behind a request a parser is as new, so a connection has one only while it is in the middle
 * of one: of 10,000 that are kept alive most are idle, and each parser is 600 bytes.
 */
export class ParserPool {
  private readonly idle: Array<Parser> = []

  constructor(private readonly make: () => Parser) {}

  acquire(): Parser {
    return this.idle.pop() ?? this.make()
  }

  /** Takes one back that is as new. */
  release(parser: Parser): void {
    if (this.idle.length < maxIdleParsers) this.idle.push(parser)
  }
}

/** The budget of the context, unless the limit says otherwise; a server's own where there is none. */
const bodyBudgetOf = ({ maxBufferedBodies: max }: Limits): Effect.Effect<Budget> =>
  Effect.flatMap(Effect.serviceOption(BodyBudget), (given) =>
    Option.isSome(given) && max === defaults.maxBufferedBodies
      ? Effect.succeed(given.value)
      : // A limit that makes no sense has been found by now.
        Effect.orDie(make({ max }))
  )

/** Makes what all connections share; the sweep of deadlines ends with the scope. */
export const makeConnectionContext = (
  limits: Limits,
  budget: DescriptorBudget,
  choices: Pick<ConnectionContext, "connectMethod" | "onClientEnd" | "unknownMethods">
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
    const endReclaiming = budget.unsafeOnShortage((missing) => lingering.reclaim(missing))
    yield* Scope.addFinalizer(
      yield* Effect.scope,
      Effect.sync(() => {
        timer.stop()
        endReclaiming()
      })
    )
    return {
      limits,
      parsers: new ParserPool(() => parser.make(limits, choices)),
      makeWriter: writer.make,
      registry,
      timer,
      lingering,
      ...choices,
      bodyBudget,
      bodyAdmissionLog: new AdmissionLog(bodyBudget, clock, bodyMessages),
      timeouts: timeoutsOf(limits),
      keepAliveHint: keepAliveHintOf(limits)
    }
  })
