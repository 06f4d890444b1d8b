/**
 * A test server at work: the server itself, its observation, and how both end with the test.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import { toUrl } from "../../../Address.js"
import * as DescriptorBudget from "../../../DescriptorBudget.js"
import { OSError, type ValueError } from "../../../Errors.js"
import { yieldToEventLoop } from "../../../internal/runtime/effectInterop.js"
import { limitOptionsOf, withDefaults } from "../../../internal/server/validateOptions.js"
import * as Limits from "../../../Limits.js"
import * as Listener from "../../../Listener.js"
import * as RequestParser from "../../../RequestParser.js"
import type { Handler } from "../../../Response.js"
import * as ResponseWriter from "../../../ResponseWriter.js"
import * as Server from "../../../Server.js"
import { LeakError } from "../../Failures.js"
import type { ConnectionInfo, Options, TestServer } from "../../TestServer.js"
import { callerOr, callSite } from "../recording/callSite.js"
import { makeExpectations } from "../recording/expectations.js"
import { attachAlsoRecorded, combine, HandlerFailures } from "../recording/handlerFailures.js"
import { type Quiescence, quiescenceOf } from "../recording/quiescence.js"
import { type Recorded, Recorder } from "../recording/recorder.js"
import { recordHandler, reporting, type ServerRecording } from "../recording/recordingHandler.js"
import { TrackedConnections } from "../recording/trackedListener.js"
import { ReplyQueue } from "./replyQueue.js"
import { advanceClock } from "./testClock.js"
import { connectRaw, type Transport } from "./transport.js"

/** More than a test opens, and less than a process has: a server that a test forgot does not starve the others. */
const defaultDescriptors = 1024

/** What a test that has ended is worth waiting for: handlers that are interrupted, and their finalizers. */
const interruptTimeout = Duration.seconds(1)

const named = (request: Recorded): string =>
  `${request.method} ${request.target} (connection ${request.connection}, exchange ${request.exchangeIndex})`

/** Requests whose handlers are at work. */
const activeRequests = ({ recorder }: ServerRecording): ReadonlyArray<Recorded> =>
  recorder.all.filter(({ known }) => known === undefined)

const infoOf = (observation: ServerRecording): ReadonlyArray<ConnectionInfo> => {
  const busy = new Set(observation.recorder.all.filter(({ isOver }) => !isOver).map(({ by }) => by))
  return observation.connections.open.map((connection) => ({
    index: connection.index,
    state: busy.has(connection) ? "active" : connection.requests === 0 ? "new" : "idle",
    requests: connection.requests,
    remote: connection.remote
  }))
}

/** Requests that have no answer, nor a fault or a failure in its place: what a test that has not ended may have waited for. */
const unmatchedOf = ({ recorder }: ServerRecording): ReadonlyArray<string> =>
  recorder.all
    .filter(({ known }) => known === undefined || known._tag === "Aborted")
    .map((request) => `a request that was not answered: ${named(request)}`)

/** What is left of handlers, connections and descriptors, of which none should be. */
const leaksOf = (observation: ServerRecording, held: number, isClosed: boolean): ReadonlyArray<string> => {
  const handlers = activeRequests(observation).map((request) => `a handler that has not ended: ${named(request)}`)
  const connections = isClosed ? observation.connections.open : []
  const last = (index: number): string => {
    const request = observation.recorder.all.filter(({ connection }) => connection === index).at(-1)
    return request === undefined ? "which has sent no request" : `whose last request was ${named(request)}`
  }
  const open = connections.map(({ index }) => `a connection that is open: ${index}, ${last(index)}`)
  return [...handlers, ...open, ...(held > 0 ? [`descriptors that were not given back: ${held}`] : [])]
}

const leakError = (left: ReadonlyArray<string>): Effect.Effect<void> =>
  left.length === 0 ? Effect.void : Effect.die(new LeakError({ left }))

/** Of what the server refuses before it asks the system, all is a mistake of the test's. */
const orDieOnMistake = <A>(effect: Effect.Effect<A, OSError | ValueError>): Effect.Effect<A, OSError> =>
  Effect.catchTag(effect, "ValueError", Effect.die)

/** Requests are recorded with their bodies, so that no budget could have them back before the test ends. */
const defaultLimits = { ...Limits.nodeHttp, maxBufferedBodies: Number.POSITIVE_INFINITY }

/** Makes the server, and gives it with the observation by which it is closed. */
const opened = <E, R>(
  handler: Handler<E, R>,
  options: Options,
  makeTransport: (budget: DescriptorBudget.Budget) => Transport,
  activity: Quiescence,
  scope: Scope.Scope
) =>
  Effect.gen(function* () {
    const { descriptors = defaultDescriptors, limits: ownLimits, ...choices } = options
    const given = { ...choices, limits: withDefaults(ownLimits, defaultLimits) }
    const budget = yield* Effect.orDie(DescriptorBudget.make({ max: descriptors }))
    const transport = makeTransport(budget)
    const connections = new TrackedConnections(activity, transport.isSystems)
    const recorder = new Recorder()
    const failed = new HandlerFailures()
    const limits = limitOptionsOf(given)
    const observation: ServerRecording = {
      connections,
      recorder,
      failed,
      maxDiscardedBody: Either.getOrElse(Limits.validate(limits), () => Limits.defaults).maxDiscardedBody,
      isClosing: false
    }
    const rooms = Context.make(Listener.Listener, connections.observing(transport.listener)).pipe(
      Context.add(RequestParser.RequestParser, { make: RequestParser.make }),
      Context.add(ResponseWriter.ResponseWriter, { make: ResponseWriter.make }),
      Context.add(DescriptorBudget.DescriptorBudget, budget),
      Context.add(Scope.Scope, scope)
    )
    const made = Server.make({
      address: "127.0.0.1",
      onClientEnd: "interrupt",
      unknownMethods: "handle",
      drainTimeout: 0,
      interruptTimeout,
      ...given
    })
    const server = yield* Effect.provide(made, rooms)
    const address = yield* orDieOnMistake(server.listen())
    const url = toUrl(address)
    const replies = new ReplyQueue()
    const observed = recordHandler(replies.withFallback(handler), observation)
    const told = { onFailure: reporting(observation) }
    // One by one, behind the same gate, since the stream that `serve` is costs a quarter of a fixture in memory. Where
    // whoever is not awaited is refused, somebody has to wait at any moment, which is what `serve` does.
    const accepting =
      given.onFull === "reject"
        ? server.serve(observed, told)
        : Effect.forever(Effect.zipRight(budget.awaitRoom(-1), server.acceptRequest(observed, told)))
    const serving = accepting.pipe(
      Effect.exit,
      Effect.interruptible,
      Effect.withScheduler(activity.scheduler),
      Effect.forkIn(scope)
    )
    yield* serving
    // Whoever connects at once is awaited by then.
    if (given.onFull === "reject") yield* yieldToEventLoop
    const { client, end } = yield* transport.client(url, address.port, activity)
    const unwatch = activity.watch(() => connections.unsent() + transport.delivered())
    const endClients = (): void => {
      unwatch()
      end()
    }
    const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
    const { settle } = activity

    const expect: TestServer["expect"] = (matcher, times = 1) => {
      const site = callSite(expect)
      return Effect.flatMap(callerOr(site), (caller) =>
        makeExpectations(recorder, settle, { matcher, times, site: caller })
      )
    }

    const testServer: TestServer = {
      url,
      address,
      client,
      requests: recorder.requests,
      received: Effect.sync(() => [...recorder.all]),
      takeRequest: recorder.takeWhere(() => true),
      takeRequestWhere: (isSuch) => recorder.takeWhere(isSuch),
      connect: connectRaw(() => transport.dial(address.port)),
      connections: Effect.sync(() => infoOf(observation)),
      closeClientConnections: Effect.zipRight(
        Effect.sync(() => {
          for (const connection of connections.open) connection.destroy()
        }),
        settle
      ),
      // Handlers that it interrupts have not failed.
      down: Effect.acquireUseRelease(
        Effect.sync(() => {
          observation.isClosing = true
        }),
        () => server.close,
        () =>
          Effect.sync(() => {
            observation.isClosing = false
          })
      ).pipe(Effect.zipRight(settle)),
      awaitShutdown: server.awaitShutdown,
      up: server.listen({ port: address.port }).pipe(
        // It is not down: the port is its own.
        Effect.catchTag("ValueError", () => new OSError({ code: "EADDRINUSE", syscall: "listen" })),
        Effect.zipRight(Effect.withScheduler(Effect.provide(serving, context), activity.scheduler)),
        Effect.asVoid
      ),
      enqueue: replies.enqueueAll,
      expect,
      takeFailure: failed.take,
      endAtAccept: (how, times = 1) => connections.endAtAccept(how, times),
      // Where nobody counts the steps of a client of the test's own, the clock may go on between two of them.
      supervise: (effect) => failed.supervise(Effect.withScheduler(effect, activity.scheduler)),
      settle,
      advance: (duration) => advanceClock(settle, duration),
      assertNoLeaks: Effect.zipRight(
        settle,
        Effect.gen(function* () {
          const listening = yield* Effect.match(server.address, { onFailure: () => 0, onSuccess: () => 1 })
          // In memory nothing has a descriptor; on loopback who listens has one, and each connection.
          const owned = transport.isSystems ? listening + connections.open.length : 0
          yield* leakError(leaksOf(observation, (yield* Ref.get(budget.held)) - owned, false))
        })
      )
    }
    return { budget, endClients, observation, testServer }
  })

type Opened = Effect.Effect.Success<ReturnType<typeof opened>>

/** How many turns the system has to take back what was closed: a client that has just left is known to be gone in one. */
const lastTurns = 10

/** What is still left when the system has had its turns. */
const leftAtLast = (observation: ServerRecording, budget: DescriptorBudget.Budget, turns = lastTurns) =>
  Effect.flatMap(Ref.get(budget.held), (held): Effect.Effect<ReadonlyArray<string>> => {
    const left = leaksOf(observation, held, true)
    return left.length === 0 || turns === 0
      ? Effect.succeed(left)
      : Effect.zipRight(yieldToEventLoop, leftAtLast(observation, budget, turns - 1))
  })

/**
 * Ends the server, and fails the test for what its handlers did, or for what is left. A test that has failed has done so
 * itself, and is told what else there was: a finalizer that died would take the place of its failure.
 */
const closed = (
  { budget, endClients, observation, scope }: Opened & { scope: Scope.CloseableScope },
  exit: Exit.Exit<unknown, unknown>
) =>
  Effect.gen(function* () {
    observation.isClosing = true
    endClients()
    // Those that only the kit's own client had are gone in two turns, and a server that nobody is connected to closes at once.
    for (let turn = 0; turn < 2 && observation.connections.open.length > 0; turn++) yield* yieldToEventLoop
    yield* Scope.close(scope, Exit.void)
    observation.recorder.close()
    const left = yield* leftAtLast(observation, budget)
    const failures = observation.failed.claim()
    const leaked = left.length === 0 ? [] : [new LeakError({ left })]
    if (Exit.isFailure(exit)) {
      const told = [...failures, ...leaked].map(({ message }) => message)
      return yield* attachAlsoRecorded([...told, ...unmatchedOf(observation)])
    }
    const causes = [combine(failures), ...leaked.map(Cause.die)].filter((cause) => !Cause.isEmpty(cause))
    const [first = Cause.empty, ...others] = causes
    if (!Cause.isEmpty(first)) yield* Effect.failCause(others.reduce(Cause.parallel<never, never>, first))
  })

/** Serves until the scope ends. */
export const makeTestServer = <E, R>(
  handler: Handler<E, R>,
  options: Options,
  makeTransport: (budget: DescriptorBudget.Budget) => Transport
): Effect.Effect<TestServer, OSError, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const activity = quiescenceOf(yield* Effect.clock)
      // Whatever the server does is counted, from its first step on.
      const made = yield* opened(handler, options, makeTransport, activity, scope).pipe(
        Effect.withScheduler(activity.scheduler),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      yield* Scope.addFinalizerExit(yield* Effect.scope, (exit) => closed({ ...made, scope }, exit))
      return made.testServer
    })
  )
