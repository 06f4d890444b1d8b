/**
 * Random commands to a connection in memory, and to the model of one: after each, what can be seen must be the same.
 * The seed is fixed; `MODEL_SEED` and `MODEL_RUNS` try others.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { ValueError } from "../../../src/Errors.js"
import { type BodyWriter, type Handler, respond, sendHeaders } from "../../../src/Response.js"
import { quiet } from "../../server/harness.js"
import { type MemoryConnection, makeInMemory, settled } from "../../server/memory.js"
import {
  type Command,
  type Kind,
  kinds,
  lengthOf,
  limits,
  Model,
  type Order,
  orders,
  pieceOf,
  stepsOf
} from "./model.js"

const seed = Number(process.env.MODEL_SEED ?? 20_260_101)
const numRuns = Number(process.env.MODEL_RUNS ?? 250)

const textOf = (kind: Kind, path: string): string => {
  const length = lengthOf[kind]
  const fields = [
    "Host: a",
    ...(kind === "close" ? ["Connection: close"] : []),
    ...(kind === "patient" ? ["Expect: 100-continue"] : []),
    ...(length === undefined ? ["Transfer-Encoding: chunked"] : length > 0 ? [`Content-Length: ${length}`] : [])
  ]
  return `POST ${path} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`
}

/** Where a part of a head ends: within the name of its first field. */
const cut = 20

/** The client's side of a command. */
const sendsOf = (model: Model, command: Command): string | undefined => {
  const { sending } = model
  switch (command._tag) {
    case "Head":
      return textOf(command.kind, model.nextPath())
    case "PartOfHead":
      return textOf(command.kind, model.nextPath()).slice(0, cut)
    case "Pipelined":
      return textOf("get", model.nextPath()) + textOf(command.kind, `/${Number(model.nextPath().slice(1)) + 1}`)
    case "RestOfHead":
      return sending._tag === "InHead" ? textOf(sending.kind, model.nextPath()).slice(cut) : undefined
    case "Body":
    case "LastBody": {
      if (sending._tag !== "InBody") return undefined
      if (sending.left === undefined) return command._tag === "Body" ? "5\r\nhello\r\n" : "0\r\n\r\n"
      return "x".repeat(command._tag === "Body" ? pieceOf(sending.kind) : sending.left)
    }
    case "BadBody":
      return "five\r\n"
    case "Nonsense":
      return "nonsense\r\n"
    default:
      return undefined
  }
}

/** A handler that does what it is told, one order after the other. */
const obeying = (told: Queue.Queue<Order>, log: Array<string>): Handler => {
  const obey = (request: Parameters<Handler>[0]) =>
    Effect.gen(function* () {
      log.push(`call ${request.path}`)
      let body: BodyWriter | undefined
      while (true) {
        switch (yield* Queue.take(told)) {
          case "answer":
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
            return yield* Effect.die("as told")
          case "read":
            log.push(`read ${(yield* request.bytes).length}`)
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

/** All that was met, over all runs. */
const met = { states: new Set<string>(), ends: new Set<string>(), commands: new Set<string>() }

const run = (commands: ReadonlyArray<Command>) =>
  Effect.gen(function* () {
    const made = yield* makeInMemory({ limits: { ...limits, lingerTimeout: "1 hour" }, drainTimeout: "1 hour" })
    const told = yield* Queue.unbounded<Order>()
    const log: Array<string> = []
    const model = new Model()
    yield* Effect.orDie(made.server.listen())
    const accepting = yield* Effect.fork(made.server.acceptRequest(obeying(told, log)))
    const connection = yield* made.connect
    connection.endsToo = false
    const fiber = yield* Effect.orDie(Fiber.join(accepting))

    const story: Array<string> = []
    const compare = Effect.zipRight(
      settled,
      Effect.sync(() => {
        const seen = {
          written: withoutDates(connection),
          log,
          ending: model.isReset ? undefined : connection.ending
        }
        expect({ story, ...seen }).toStrictEqual({
          story,
          written: model.written,
          log: model.log,
          ending: model.ending
        })
      })
    )

    const perform = (command: Command): Effect.Effect<void> => {
      const text = sendsOf(model, command)
      if (text !== undefined) return Effect.sync(() => connection.send(text))
      switch (command._tag) {
        case "Fin":
          return Effect.sync(() => connection.halfClose())
        case "Reset":
          return Effect.sync(() => connection.reset())
        case "Order":
          return Effect.asVoid(Queue.offer(told, command.order))
        case "Advance":
          return Effect.forEach(
            stepsOf(command.seconds),
            (step) => Effect.zipRight(TestClock.adjust(`${step} seconds`), settled),
            { discard: true }
          )
        case "Drain":
          return Effect.asVoid(Effect.forkDaemon(made.server.close))
        case "Interrupt":
          return Effect.sync(() => fiber.unsafeInterruptAsFork(FiberId.none))
        default:
          return Effect.void
      }
    }

    yield* compare
    for (const command of commands) {
      if (!model.canDo(command)) continue
      met.states.add(model.state)
      const name = "order" in command ? command.order : command._tag
      met.commands.add(`${model.state}: ${name}`)
      story.push("kind" in command ? `${name} ${command.kind}` : name)
      // The model moves behind the connection: what a command sends depends on where the client stands.
      yield* perform(command)
      model.run(command)
      yield* compare
    }
    if (model.canDo({ _tag: "Reset" })) {
      connection.reset()
      model.run({ _tag: "Reset" })
    }
    const end = yield* Fiber.join(fiber)
    met.ends.add(end.reason)
    expect({ story, ...end }).toStrictEqual({ story, reason: model.reason, requests: model.requests })
    expect({ story, log }).toStrictEqual({ story, log: model.log })
  }).pipe(Effect.scoped, Effect.provide(quiet), Effect.provide(TestContext.TestContext))

const kind = FastCheck.constantFrom(...kinds)
const tagged = (_tag: "Head" | "PartOfHead" | "Pipelined") => FastCheck.record({ _tag: FastCheck.constant(_tag), kind })

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  { weight: 8, arbitrary: tagged("Head") },
  { weight: 2, arbitrary: tagged("PartOfHead") },
  { weight: 2, arbitrary: tagged("Pipelined") },
  {
    weight: 14,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constantFrom("RestOfHead" as const, "Body" as const, "LastBody" as const)
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constantFrom(
        "BadBody" as const,
        "Nonsense" as const,
        "Fin" as const,
        "Reset" as const,
        "Drain" as const,
        "Interrupt" as const
      )
    })
  },
  {
    weight: 14,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Order" as const),
      order: FastCheck.constantFrom(...orders)
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Advance" as const),
      seconds: FastCheck.constantFrom(1, 9, 10, 29, 30, 60)
    })
  }
)

describe("one connection, and its model", () => {
  it(
    "agree on every byte, every call and every end, whatever comes next",
    async () => {
      const property = FastCheck.asyncProperty(
        FastCheck.array(command, { minLength: 5, maxLength: 30, size: "max" }),
        (commands) => Effect.runPromise(run(commands))
      )
      // A counterexample is made smaller for so long, and shown.
      await FastCheck.assert(property, { seed, numRuns, interruptAfterTimeLimit: 100 * numRuns })
    },
    200 * numRuns
  )

  it("have been tried in every state, and to every end", () => {
    expect([...met.states].sort()).toStrictEqual([
      "Closed",
      "Handling read open",
      "Handling read unanswered",
      "Handling reading open",
      "Handling reading unanswered",
      "Handling unread open",
      "Handling unread unanswered",
      "Idle",
      "Lingering",
      "ReadingHead",
      "Skipping"
    ])
    expect([...met.ends].sort()).toStrictEqual([
      "Aborted",
      "Broken",
      "ClosedByClient",
      "ClosedByServer",
      "Interrupted",
      "Malformed",
      "TimedOut"
    ])
    expect(met.commands.size).toBeGreaterThan(100)
  })
})
