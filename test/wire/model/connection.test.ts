/**
 * Random commands to a connection in memory, and to the model of one: after each, what can be seen must be the same.
 * The seed is fixed; `MODEL_SEED` and `MODEL_RUNS` try others.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ValueError } from "../../../src/Errors.js"
import {
  type BodyWriter,
  type Duplex,
  type Handler,
  respond,
  sendHeaders,
  tunnel,
  upgrade
} from "../../../src/Response.js"
import { quiet } from "../../server/harness.js"
import { type MemoryConnection, makeInMemory, settled } from "../../server/memory.js"
import { waitTimeout } from "../../support/eventually.js"
import { asked, type Kind } from "./client.js"
import { StandingClock } from "./clock.js"
import { type Choices, type Command, limits, Model, type Order, orders, stepsOf } from "./model.js"

const seed = Number(process.env.MODEL_SEED ?? 20_260_101)
const numRuns = Number(process.env.MODEL_RUNS ?? 1000)

/** What becomes of a connection that was handed over: bytes gathered meanwhile, and orders, one after the other. */
const holding =
  (queue: Queue.Queue<Order>, log: Array<string>) =>
  (duplex: Duplex): Effect.Effect<void, ValueError, Scope.Scope> =>
    Effect.gen(function* () {
      let received = ""
      const gathering = Stream.runForEach(duplex.stream, (bytes) =>
        Effect.sync(() => {
          received += Buffer.from(bytes).toString("latin1")
        })
      )
      const gathered = yield* Effect.forkScoped(gathering)
      while (true) {
        switch (yield* Queue.take(queue)) {
          case "write":
            yield* duplex.write("abc")
            break
          case "read": {
            const isWhole = Option.isSome(yield* Fiber.poll(gathered))
            log.push(`received ${JSON.stringify(received)}${isWhole ? ", and no more" : ""}`)
            break
          }
          case "end":
            return
          case "fail":
            return yield* new ValueError({ reason: "Json" })
          default:
            return yield* Effect.die("as ordered")
        }
      }
    })

/** A handler that does what it is reported, one order after the other. */
const obeying = (queue: Queue.Queue<Order>, log: Array<string>): Handler => {
  const obey = (request: Parameters<Handler>[0]) =>
    Effect.gen(function* () {
      log.push(`call ${request.url}`)
      let body: BodyWriter | undefined
      while (true) {
        switch (yield* Queue.take(queue)) {
          case "respond":
            return yield* respond(request, 200, "ok")
          case "begin":
            body = yield* sendHeaders(request, 200)
            break
          case "write":
            yield* body?.write("abc") ?? Effect.void
            break
          case "end":
            return yield* body?.end() ?? Effect.die("nothing was begun")
          case "fail":
            return yield* new ValueError({ reason: "Json" })
          case "die":
            return yield* Effect.die("as ordered")
          case "read":
            log.push(`read ${(yield* request.bytes).length}`)
            break
          case "handOver":
            return yield* request.method === "CONNECT"
              ? tunnel(request, {}, holding(queue, log))
              : upgrade(request, { Upgrade: "echo" }, holding(queue, log))
        }
      }
    })
  return (request) =>
    Effect.onInterrupt(obey(request), () =>
      Effect.sync(() => {
        log.push("interrupted")
      })
    )
}

const withoutDates = ({ written }: MemoryConnection): string => written.replaceAll(/Date: [^\r\n]*\r\n/g, "")

/** A command, as it is reported when the two do not agree. */
const nameOf = (command: Command): string => {
  switch (command._tag) {
    case "Head":
    case "PartOfHead":
    case "Pipelined":
      return `${command._tag} ${command.kind}`
    case "Order":
      return command.order
    case "Advance":
      return `${command._tag} ${command.seconds}`
    default:
      return command._tag
  }
}

/** All that was met, over all runs. */
const met = { states: new Set<string>(), ends: new Set<string>(), commands: new Set<string>() }

const run = (choices: Choices, positions: ReadonlyArray<number>) => {
  const clock = new StandingClock()
  return Effect.gen(function* () {
    const made = yield* makeInMemory({
      ...choices,
      limits: { ...limits, lingerTimeout: "1 hour" },
      drainTimeout: "1 hour"
    })
    const queue = yield* Queue.unbounded<Order>()
    const log: Array<string> = []
    const model = new Model(choices)
    yield* Effect.orDie(made.server.listen())
    const accepting = yield* Effect.fork(made.server.acceptRequest(obeying(queue, log)))
    const connection = yield* made.connect
    let read = 0
    connection.unsent = () => (connection.isFull() ? 1000 - read : 0)
    // Whatever was found, the closing server has nothing to wait for.
    yield* Effect.addFinalizer(() => Effect.sync(() => connection.destroy()))
    connection.endsToo = false
    const fiber = yield* Effect.orDie(Fiber.join(accepting))

    const story: Array<string> = [choices.onClientEnd, choices.connectMethod]
    const compare = Effect.zipRight(
      settled,
      Effect.sync(() => {
        const seen = {
          written: withoutDates(connection),
          log,
          ending: model.isReset ? undefined : connection.ending
        }
        expect(seen, story.join(", ")).toStrictEqual({
          written: model.written,
          log: model.log,
          ending: model.ending
        })
      })
    )

    const perform = (command: Command, text: string): Effect.Effect<void> => {
      switch (command._tag) {
        case "Fin":
          return Effect.sync(() => connection.halfClose())
        case "Reset":
          return Effect.sync(() => connection.reset())
        case "StopReading":
        case "ReadOn":
          return Effect.sync(() => connection.setFull(command._tag === "StopReading"))
        case "ReadSome":
          return Effect.sync(() => {
            read++
          })
        case "Order":
          return Effect.asVoid(Queue.offer(queue, command.order))
        case "Advance":
          return Effect.forEach(
            stepsOf(command.seconds),
            (step) =>
              Effect.zipRight(
                Effect.sync(() => clock.advance(step)),
                settled
              ),
            { discard: true }
          )
        case "Drain":
          return Effect.asVoid(Effect.forkDaemon(made.server.close))
        case "Interrupt":
          return Effect.sync(() => fiber.unsafeInterruptAsFork(FiberId.none))
        default:
          return Effect.sync(() => connection.send(text))
      }
    }

    yield* compare
    for (const position of positions) {
      const command = commandAt(model, position)
      met.states.add(model.state)
      met.commands.add(`${model.state}: ${"order" in command ? command.order : command._tag}`)
      story.push(nameOf(command))
      yield* perform(command, model.run(command))
      yield* compare
    }
    if (model.canDo({ _tag: "Reset" })) {
      connection.reset()
      model.run({ _tag: "Reset" })
    }
    const end = yield* Fiber.join(fiber)
    met.ends.add(end.reason)
    expect({ ...end, log }, story.join(", ")).toStrictEqual({
      reason: model.reason,
      requests: model.requests,
      log: model.log
    })
  }).pipe(Effect.scoped, Effect.provide(quiet), Effect.withClock(clock))
}

const kinds = Object.keys(asked) as ReadonlyArray<Kind>

const weightOf: Readonly<Record<Order, number>> = {
  respond: 10,
  begin: 10,
  write: 10,
  end: 10,
  fail: 3,
  die: 3,
  read: 10,
  handOver: 40
}

/** Every command, and how often it is taken where it can be: what ends a connection is rare, or nothing else is met. */
const commands: ReadonlyArray<readonly [weight: number, command: Command]> = [
  ...kinds.flatMap(
    (kind): ReadonlyArray<readonly [number, Command]> => [
      [2, { _tag: "Head", kind }],
      [1, { _tag: "PartOfHead", kind }],
      [1, { _tag: "Pipelined", kind }]
    ]
  ),
  [30, { _tag: "RestOfHead" }],
  [20, { _tag: "Body" }],
  [20, { _tag: "LastBody" }],
  [2, { _tag: "BadBody" }],
  [1, { _tag: "Nonsense" }],
  [4, { _tag: "Fin" }],
  [1, { _tag: "Reset" }],
  [8, { _tag: "StopReading" }],
  [8, { _tag: "ReadOn" }],
  [8, { _tag: "ReadSome" }],
  [1, { _tag: "Drain" }],
  [1, { _tag: "Interrupt" }],
  ...orders.map((order) => [weightOf[order], { _tag: "Order", order }] as const),
  ...[1, 9, 10, 29, 30, 60].map((seconds) => [3, { _tag: "Advance", seconds }] as const)
]

/** One of the commands that can be done now. */
const commandAt = (model: Model, position: number): Command => {
  const able = commands.filter(([, command]) => model.canDo(command))
  let left = position % able.reduce((sum, [weight]) => sum + weight, 0)
  const found = able.find(([weight]) => (left -= weight) < 0)
  return found?.[1] ?? { _tag: "Advance", seconds: 1 }
}

const choices: FastCheck.Arbitrary<Choices> = FastCheck.record({
  onClientEnd: FastCheck.constantFrom("continue" as const, "interrupt" as const),
  connectMethod: FastCheck.constantFrom("handle" as const, "handle" as const, "reject" as const)
})

describe("one connection, and its model", () => {
  it(
    "agree on every byte, every call and every end, whatever comes next",
    async () => {
      const property = FastCheck.asyncProperty(
        choices,
        FastCheck.array(FastCheck.nat(), { minLength: 5, maxLength: 40, size: "max" }),
        (choices, positions) => Effect.runPromise(run(choices, positions))
      )
      await FastCheck.assert(property, {
        seed,
        numRuns,
        // A connection that does not end is a counterexample too.
        timeout: waitTimeout,
        // A counterexample is made smaller for so long, and shown.
        interruptAfterTimeLimit: 100 * numRuns,
        markInterruptAsFailure: true
      })
    },
    200 * numRuns
  )

  it("have been tried in every state, and to every end", () => {
    expect([...met.states].sort()).toStrictEqual([
      "Closed",
      "HandedOver",
      "HandedOver, stalled",
      "Handling read open",
      "Handling read open, stalled",
      "Handling read unresponded",
      "Handling reading open",
      "Handling reading unresponded",
      "Handling unread open",
      "Handling unread open, stalled",
      "Handling unread unresponded",
      "Idle",
      "Idle, stalled",
      "Lingering",
      "ReadingHead",
      "ReadingHead, stalled",
      "Skipping",
      "Skipping, stalled"
    ])
    expect([...met.ends].sort()).toStrictEqual([
      "BadRequest",
      "ClientAborted",
      "ClosedByClient",
      "ClosedByServer",
      "Interrupted",
      "ResponseFailed",
      "TimedOut",
      "Upgraded"
    ])
    expect(met.commands.size).toBeGreaterThan(200)
  })
})
