/**
 * A server in many processes on one port: workers of `node:cluster`, supervised by their primary.
 *
 * - A worker for each processor, or `WORKERS` of them, at `HOST` and `PORT`. If one cannot start, the program ends.
 * - A worker that exits is replaced, after a pause that doubles each time, and begins anew once a worker has lived for a minute.
 * - SIGHUP: a rolling restart. One worker after the other is replaced; the new one listens before the old one stops. If a
 *   new one cannot start, the old ones are kept.
 * - SIGTERM and SIGINT: all workers stop. A worker that stops accepts no more connections, closes those that are open with their
 *   next response, for `DRAIN` at most, and then completes the requests in flight.
 *
 * The primary accepts the connections and passes each to a worker; a worker that stops passes them back, so that none is lost.
 * With `REUSE_PORT=true` the kernel balances them instead, where it can, at no cost to the primary; it resets those that it has
 * queued for a listener that closes.
 */
import cluster, { type Worker } from "node:cluster"
import { availableParallelism } from "node:os"
import { runMain } from "@effect/platform-node/NodeRuntime"
import {
  Array,
  Config,
  Console,
  Data,
  Deferred,
  Duration,
  Effect,
  Fiber,
  FiberSet,
  Ref,
  Schedule,
  Stream
} from "effect"
import { Address, Response, Server } from "effect-asynchttpserver"

class WorkerFailed extends Data.TaggedError("WorkerFailed")<{ readonly message: string }> {}

/** Completes when the process has exited, with a description of how. */
const awaitExit = (worker: Worker): Effect.Effect<string> =>
  Effect.async<string>((resume) => {
    const describe = (how: string): void => resume(Effect.succeed(`worker ${worker.process.pid} ${how}`))
    const { exitCode, signalCode } = worker.process
    if (exitCode !== null || signalCode !== null) return describe("has exited")
    worker.once("error", (error) => describe(`failed: ${error.message}`))
    worker.once("exit", (code, signal) => describe(signal === null ? `exited with ${code}` : `was ended by ${signal}`))
  })

/** Stops a worker gracefully, and ends it if it has not stopped in time. */
const stop = (worker: Worker): Effect.Effect<void> =>
  Effect.sync(() => worker.process.kill("SIGTERM")).pipe(
    Effect.zipRight(awaitExit(worker)),
    Effect.timeout("15 seconds"),
    Effect.catchTag("TimeoutException", () => Effect.sync(() => worker.process.kill("SIGKILL"))),
    Effect.asVoid
  )

/** Runs one process until it exits; an interruption stops it. `listening` receives its URL, or its early end. */
const runWorker = (listening: Deferred.Deferred<string, WorkerFailed>): Effect.Effect<void> =>
  Effect.acquireUseRelease(
    Effect.sync(() => cluster.fork()),
    (worker) =>
      Effect.gen(function* () {
        worker.once("message", (url) => Deferred.unsafeDone(listening, Effect.succeed(String(url))))
        const message = yield* awaitExit(worker)
        // Without effect after the URL was received.
        yield* Deferred.fail(listening, new WorkerFailed({ message }))
        yield* Effect.logWarning(message)
      }),
    stop
  )

/** The pauses before a replacement. The input is the time for which the last worker has lived. */
const pauses = Schedule.exponential("100 millis").pipe(
  Schedule.either(Schedule.spaced("10 seconds")),
  Schedule.intersect(Schedule.identity<Duration.Duration>()),
  Schedule.resetWhen(([, lifetime]) => Duration.greaterThan(lifetime, "1 minute"))
)

/** Runs a process, and the next after it. */
const keepRunning = (listening: Deferred.Deferred<string, WorkerFailed>): Effect.Effect<never> =>
  runWorker(listening).pipe(
    Effect.timed,
    Effect.map(([lifetime]) => lifetime),
    Effect.repeat(pauses),
    Effect.zipRight(Effect.never)
  )

const hangups = Stream.asyncPush<void>(
  (emit) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const onSignal = (): void => void emit.single()
        process.on("SIGHUP", onSignal)
        return onSignal
      }),
      (onSignal) => Effect.sync(() => process.off("SIGHUP", onSignal))
    ),
  // Signals that arrive during a restart cause one more.
  { bufferSize: 1, strategy: "sliding" }
)

const primary = Effect.gen(function* () {
  const count = yield* Config.withDefault(Config.integer("WORKERS"), availableParallelism())
  // All fibers end together when the program is interrupted, and with them their processes.
  const fibers = yield* FiberSet.make<never>()

  /** Starts a worker, and waits until it listens. */
  const start = Effect.gen(function* () {
    const listening = yield* Deferred.make<string, WorkerFailed>()
    const fiber = yield* FiberSet.run(fibers, keepRunning(listening))
    const url = yield* Deferred.await(listening).pipe(
      Effect.timeoutFail({
        duration: "30 seconds",
        onTimeout: () => new WorkerFailed({ message: "a worker has not listened in 30 seconds" })
      }),
      Effect.onError(() => Fiber.interrupt(fiber))
    )
    return { fiber, url }
  })

  const started = yield* Effect.replicateEffect(start, count, { concurrency: "unbounded" })
  const workers = yield* Ref.make(started)

  const replace = (old: (typeof started)[number]) =>
    Effect.gen(function* () {
      const next = yield* start
      yield* Ref.update(
        workers,
        Array.map((worker) => (worker === old ? next : worker))
      )
      yield* Fiber.interrupt(old.fiber)
    })

  const restart = Ref.get(workers).pipe(
    Effect.flatMap(Effect.forEach(replace, { discard: true })),
    Effect.zipRight(Effect.logInfo("all workers are replaced")),
    Effect.catchTag("WorkerFailed", ({ message }) => Effect.logError(`the restart has ended: ${message}`))
  )

  yield* Console.log(`Listening on ${started[0]?.url}`)
  yield* Stream.runForEach(hangups, () => restart)
})

/** Stops accepting. The primary closes the channel when all connections handed to this process have been accepted or passed back. */
const leaveCluster = Effect.async<void>((resume) => {
  const { worker } = cluster
  if (worker === undefined || !worker.isConnected()) return resume(Effect.void)
  worker.once("disconnect", () => resume(Effect.void))
  worker.disconnect()
})

const worker = Effect.gen(function* () {
  const drainDelay = yield* Config.withDefault(Config.duration("DRAIN"), Duration.millis(500))
  const isDraining = yield* Ref.make(false)
  const address = yield* Server.listen()
  const serving = yield* Effect.forkScoped(
    Server.serve((request) =>
      Effect.flatMap(isDraining, (draining) =>
        Response.respond(request, 200, `worker ${process.pid}`, draining ? { Connection: "close" } : {})
      )
    )
  )
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      yield* Ref.set(isDraining, true)
      const left = yield* Effect.fork(leaveCluster)
      // A connection that has just been opened has this time to send its request.
      yield* Effect.sleep(drainDelay)
      yield* Server.close
      yield* Fiber.join(left)
    })
  )
  process.send?.(Address.toUrl(address))
  return yield* Fiber.join(serving)
})

const live = Server.layerConfig({
  address: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080),
  reusePort: Config.map(Config.withDefault(Config.boolean("REUSE_PORT"), false), (on) => (on ? "auto" : false))
})

// A second signal, as from a terminal that sends one to every process of its group, does not shorten the shutdown.
for (const signal of ["SIGINT", "SIGTERM", ...(cluster.isWorker ? ["SIGHUP"] : [])]) process.on(signal, () => {})

if (cluster.isPrimary) runMain(Effect.scoped(primary))
else runMain(Effect.scoped(worker).pipe(Effect.provide(live)))
