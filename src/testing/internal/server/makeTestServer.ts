/** Construction of a test server: the server, its recording, and the checks when its scope closes. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import { toUrl } from "../../../Address.js"
import * as DescriptorBudget from "../../../DescriptorBudget.js"
import { isOSError, OSError } from "../../../Errors.js"
import { yieldToEventLoop } from "../../../internal/runtime/effectInterop.js"
import { limitOptionsOf, withDefaults } from "../../../internal/server/validateOptions.js"
import * as Limits from "../../../Limits.js"
import * as Listener from "../../../Listener.js"
import * as RequestParser from "../../../RequestParser.js"
import type { Handler } from "../../../Response.js"
import * as ResponseWriter from "../../../ResponseWriter.js"
import * as Server from "../../../Server.js"
import { LeakError } from "../../Failures.js"
import { callerOrElse, callSite } from "../recording/callSite.js"
import { makeExpectations } from "../recording/expectations.js"
import { AcceptFailure, combine, HandlerFailures, reportOnConsole } from "../recording/handlerFailures.js"
import { type Quiescence, quiescenceOf } from "../recording/quiescence.js"
import { type Recorded, Recorder } from "../recording/recorder.js"
import { recordHandler, recordReportedFailure, type ServerRecording } from "../recording/recordingHandler.js"
import { TrackedConnections } from "../recording/trackedListener.js"
import { ReplyQueue } from "./replyQueue.js"
import { advanceClock } from "./testClock.js"
import { connectRaw, type Transport } from "./transport.js"
import type { ConnectionInfo, Options, TestServer } from "./types.js"

/** More than a test needs, less than a process may open: a server that is never closed does not starve the others. */
const defaultDescriptors = 1024

/** Time that interrupted handlers and their finalizers have when the test ends. */
const interruptTimeout = Duration.seconds(1)

const requestLabel = (request: Recorded): string =>
  `${request.method} ${request.target} (connection ${request.connection}, exchange ${request.exchangeIndex})`

/** Requests whose handlers are running. */
const activeRequests = ({ recorder }: ServerRecording): ReadonlyArray<Recorded> =>
  recorder.all.filter(({ knownOutcome }) => knownOutcome === undefined)

const connectionInfos = (recording: ServerRecording): ReadonlyArray<ConnectionInfo> => {
  const busy = new Set(
    recording.recorder.all.filter(({ hasEnded }) => !hasEnded).map(({ trackedConnection }) => trackedConnection)
  )
  return recording.connections.open.map((connection) => ({
    index: connection.index,
    state: busy.has(connection) ? "active" : connection.requests === 0 ? "new" : "idle",
    requests: connection.requests,
    remote: connection.remote
  }))
}

/** Requests without a response, fault or failure: what an interrupted test may have waited for. */
const requestsWithoutResponse = ({ recorder }: ServerRecording): ReadonlyArray<string> =>
  recorder.all
    .filter(({ knownOutcome }) => knownOutcome === undefined || knownOutcome._tag === "Aborted")
    .map((request) => `no response to ${requestLabel(request)}`)

/** Handlers, connections and descriptors that were not released. */
const leaksOf = (recording: ServerRecording, held: number, isClosed: boolean): ReadonlyArray<string> => {
  const handlers = activeRequests(recording).map((request) => `a handler is still running: ${requestLabel(request)}`)
  const connections = isClosed ? recording.connections.open : []
  const lastRequest = (index: number): string => {
    const request = recording.recorder.all.filter(({ connection }) => connection === index).at(-1)
    return request === undefined ? "no request received" : `last request ${requestLabel(request)}`
  }
  const open = connections.map(({ index }) => `connection ${index} is still open: ${lastRequest(index)}`)
  return [...handlers, ...open, ...(held > 0 ? [`descriptors not released: ${held}`] : [])]
}

const dieOnLeaks = (left: ReadonlyArray<string>): Effect.Effect<void> =>
  left.length === 0 ? Effect.void : Effect.die(new LeakError({ left }))

/** Invalid options are a mistake of the test, so a defect. */
/** The options of a test server contain no certificates. */
const orDieOnInvalidOption = <A>(effect: Effect.Effect<A, Server.ListenError>): Effect.Effect<A, OSError> =>
  Effect.catchTags(effect, { ValueError: Effect.die, SslError: Effect.die })

/** True for the error of an accept loop whose server was closed, by the test or at its end. */
const isServerClosed = (cause: Cause.Cause<Server.ListenError>): boolean =>
  Cause.isInterruptedOnly(cause) ||
  Option.exists(Cause.failureOption(cause), (e) => isOSError(e) && (e.code === "ECANCELED" || e.code === "ENOTCONN"))

/** Requests are recorded with their bodies, so a body budget would not get its bytes back before the test ends. */
const defaultLimits = { ...Limits.nodeHttp, maxBufferedBodies: Number.POSITIVE_INFINITY }

/** Starts the server. The result includes what closing it requires. */
const openServer = <E, R>(
  handler: Handler<E, R>,
  options: Options,
  makeTransport: (budget: DescriptorBudget.Budget) => Transport,
  quiescence: Quiescence,
  scope: Scope.Scope
) =>
  Effect.gen(function* () {
    const { descriptors = defaultDescriptors, limits: ownLimits, ...choices } = options
    const given = { ...choices, limits: withDefaults(ownLimits, defaultLimits) }
    const budget = yield* Effect.orDie(DescriptorBudget.make({ max: descriptors }))
    const transport = makeTransport(budget)
    const connections = new TrackedConnections(quiescence, transport.usesSockets)
    const recorder = new Recorder()
    const failures = new HandlerFailures()
    const limits = limitOptionsOf(given)
    const recording: ServerRecording = {
      connections,
      recorder,
      failures,
      maxDiscardedBody: Either.getOrElse(Limits.validate(limits), () => Limits.defaults).maxDiscardedBody,
      isClosing: false
    }
    const dependencies = Context.make(Listener.Listener, connections.trackListener(transport.listener)).pipe(
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
    const server = yield* Effect.provide(made, dependencies)
    const address = yield* orDieOnInvalidOption(server.listen({ port: given.port ?? 0 }))
    const url = toUrl(address)
    const replies = new ReplyQueue()
    const recorded = recordHandler(replies.withFallback(handler), recording)
    const reporting = { onFailure: recordReportedFailure(recording) }
    // One `acceptRequest` at a time, with the same admission: the stream of `serve` costs a quarter of the time of an
    // in-memory fixture. With `onFull: "reject"` a taker must be waiting at any moment, which only `serve` ensures.
    const accepting =
      given.onFull === "reject"
        ? server.serve(recorded, reporting)
        : Effect.forever(Effect.zipRight(budget.awaitRoom(-1), server.acceptRequest(recorded, reporting)))
    const serving = accepting.pipe(
      Effect.catchAllCause((cause) =>
        Effect.sync(() => {
          if (!isServerClosed(cause)) failures.add(new AcceptFailure({ cause }))
        })
      ),
      Effect.interruptible,
      Effect.withScheduler(quiescence.scheduler),
      Effect.forkIn(scope)
    )
    yield* serving
    // A client may connect at once: `serve` must be waiting by then.
    if (given.onFull === "reject") yield* yieldToEventLoop
    const { client, reset } = yield* transport.client(url, address.port, quiescence)
    const unwatch = quiescence.watch(() => connections.unsent() + transport.bytesRead())
    const endClients = (): void => {
      unwatch()
      reset()
    }
    const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
    const { settle } = quiescence

    const expect: TestServer["expect"] = (matcher, times = 1) => {
      const site = callSite(expect)
      return Effect.flatMap(callerOrElse(site), (caller) =>
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
      takeRequestWhere: (predicate) => recorder.takeWhere(predicate),
      connect: connectRaw(() => transport.dial(address.port)),
      connections: Effect.sync(() => connectionInfos(recording)),
      closeClientConnections: Effect.zipRight(
        Effect.sync(() => {
          for (const connection of connections.open) connection.destroy()
        }),
        settle
      ),
      // A handler that it interrupts has not failed.
      down: Effect.acquireUseRelease(
        Effect.sync(() => {
          recording.isClosing = true
        }),
        () => server.close,
        () =>
          Effect.sync(() => {
            recording.isClosing = false
          })
      ).pipe(Effect.zipRight(settle)),
      awaitShutdown: server.awaitShutdown,
      up: server.listen({ port: address.port }).pipe(
        // It is not down: the port is in use by itself.
        Effect.catchTag("ValueError", () => new OSError({ code: "EADDRINUSE", syscall: "listen" })),
        Effect.catchTag("SslError", Effect.die),
        Effect.zipRight(Effect.withScheduler(Effect.provide(serving, context), quiescence.scheduler)),
        Effect.asVoid
      ),
      enqueue: replies.enqueueAll,
      expect,
      takeFailure: failures.take,
      endAtAccept: (how, times = 1) => connections.endAtAccept(how, times),
      // Counts the steps of the test's own clients: otherwise the clock may advance between two of them.
      supervise: (effect) => failures.supervise(Effect.withScheduler(effect, quiescence.scheduler)),
      settle,
      advance: (duration) => advanceClock(settle, duration),
      assertNoLeaks: Effect.zipRight(
        settle,
        Effect.gen(function* () {
          const listening = yield* Effect.match(server.address, { onFailure: () => 0, onSuccess: () => 1 })
          // In memory nothing has a descriptor; on loopback the listener and each connection have one.
          const owned = transport.usesSockets ? listening + connections.open.length : 0
          yield* dieOnLeaks(leaksOf(recording, (yield* Ref.get(budget.held)) - owned, false))
        })
      )
    }
    return { budget, endClients, recording, testServer }
  })

type OpenServer = Effect.Effect.Success<ReturnType<typeof openServer>>

/** Turns of the event loop that the system has to release closed sockets; a disconnect is noticed within one. */
const maxReleaseTurns = 10

/** Leaks that remain after those turns. */
const remainingLeaks = (recording: ServerRecording, budget: DescriptorBudget.Budget, turns = maxReleaseTurns) =>
  Effect.flatMap(Ref.get(budget.held), (held): Effect.Effect<ReadonlyArray<string>> => {
    const left = leaksOf(recording, held, true)
    return left.length === 0 || turns === 0
      ? Effect.succeed(left)
      : Effect.zipRight(yieldToEventLoop, remainingLeaks(recording, budget, turns - 1))
  })

/**
 * Closes the server, and fails the test for handler failures and leaks. If the test itself has failed, they are only
 * printed: a finalizer that dies would replace its failure.
 */
const closeServer = (
  { budget, endClients, recording, scope }: OpenServer & { scope: Scope.CloseableScope },
  exit: Exit.Exit<unknown, unknown>
) =>
  Effect.gen(function* () {
    recording.isClosing = true
    endClients()
    // Connections of the kit's own client are gone within two turns, and a server without connections closes at once.
    for (let turn = 0; turn < 2 && recording.connections.open.length > 0; turn++) yield* yieldToEventLoop
    yield* Scope.close(scope, Exit.void)
    recording.recorder.close()
    const left = yield* remainingLeaks(recording, budget)
    const failures = recording.failures.claim()
    const leaked = left.length === 0 ? [] : [new LeakError({ left })]
    if (Exit.isFailure(exit)) {
      const messages = [...failures, ...leaked].map(({ message }) => message)
      return yield* reportOnConsole([...messages, ...requestsWithoutResponse(recording)])
    }
    const causes = [combine(failures), ...leaked.map(Cause.die)].filter((cause) => !Cause.isEmpty(cause))
    const [first = Cause.empty, ...others] = causes
    if (!Cause.isEmpty(first)) yield* Effect.failCause(others.reduce(Cause.parallel<never, never>, first))
  })

/** Serves until the scope closes. */
export const makeTestServer = <E, R>(
  handler: Handler<E, R>,
  options: Options,
  makeTransport: (budget: DescriptorBudget.Budget) => Transport
): Effect.Effect<TestServer, OSError, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const quiescence = quiescenceOf(yield* Effect.clock)
      // Counts the server's steps from the first one on.
      const made = yield* openServer(handler, options, makeTransport, quiescence, scope).pipe(
        Effect.withScheduler(quiescence.scheduler),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      yield* Scope.addFinalizerExit(yield* Effect.scope, (exit) => closeServer({ ...made, scope }, exit))
      return made.testServer
    })
  )
