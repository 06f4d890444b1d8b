/** State shared by all connections of a server: limits, timeouts, parser pool, registry. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { BodyBudget, type Budget, make } from "../../BodyBudget.js"
import type { Budget as DescriptorBudget } from "../../DescriptorBudget.js"
import { defaults, type Limits } from "../../Limits.js"
import { RequestParser } from "../../RequestParser.js"
import { ResponseWriter, type Writer } from "../../ResponseWriter.js"
import { AdmissionLog, bodyGate } from "../budget/admissionLog.js"
import type { TrustedProxies } from "../message/forwarded.js"
import { currentRecorder, type MetricRecorder } from "../metrics.js"
import { ConnectionRegistry } from "./connectionRegistry.js"
import { DeadlineTimer } from "./deadlineTimer.js"
import { LingeringConnections } from "./lingeringClose.js"
import { ParserPool } from "./parserPool.js"

export interface ServerState {
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
  /** `undefined` if no proxy is trusted. */
  readonly proxies: TrustedProxies | undefined
  readonly durations: ReturnType<typeof durationsOf>
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
const durationsOf = (limits: Limits) => ({
  keepAlive: Duration.toMillis(limits.keepAliveTimeout),
  header: Duration.toMillis(limits.headerTimeout),
  body: Duration.toMillis(limits.bodyTimeout),
  halfClosed: Duration.toMillis(limits.halfCloseTimeout),
  inactivity: Duration.toMillis(limits.inactivityTimeout),
  bodyTotal: Duration.toMillis(limits.bodyTotalTimeout),
  bufferedBody: Duration.toMillis(limits.bufferedBodyTimeout),
  write: Duration.toMillis(limits.writeTimeout)
})

/** The `BodyBudget` of the Effect context, unless `maxBufferedBodies` is given; otherwise one of this server alone. */
const bodyBudgetOf = ({ maxBufferedBodies: max }: Limits): Effect.Effect<Budget> =>
  Effect.flatMap(Effect.serviceOption(BodyBudget), (given) =>
    Option.isSome(given) && max === defaults.maxBufferedBodies
      ? Effect.succeed(given.value)
      : // An invalid limit was rejected before.
        Effect.orDie(make({ max }))
  )

/** Options of a server that decide about requests: for the parser, and for the request loop. */
export interface Policies extends Pick<ServerState, "connectMethod" | "onClientEnd" | "proxies"> {
  readonly unknownMethods: "reject" | "handle"
}

/** Makes the shared state; the deadline timer stops when the scope closes. */
export const makeServerState = (
  limits: Limits,
  budget: DescriptorBudget,
  { connectMethod, onClientEnd, proxies, unknownMethods }: Policies
): Effect.Effect<ServerState, never, Scope.Scope | RequestParser | ResponseWriter> =>
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
      parsers: new ParserPool(() => parser.make(limits, { unknownMethods })),
      makeWriter: writer.make,
      metrics: yield* currentRecorder,
      registry,
      timer,
      lingering,
      onClientEnd,
      connectMethod,
      proxies,
      bodyBudget,
      bodyAdmissionLog: new AdmissionLog(bodyBudget, clock, bodyGate),
      durations: durationsOf(limits),
      keepAliveHint: keepAliveHintOf(limits)
    }
  })
