/**
 * The process under pressure: serves this package's server, as many of them as it is asked for, or one of `node:http`;
 * reports over its channel what it holds, and closes on request.
 *
 * `serving.ts ours watchTimers`: the second argument makes the census know timers that do not keep a process alive.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Supervisor from "effect/Supervisor"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import * as Server from "../../src/Server.js"
import { interruptBareFibers } from "./bareFibers.js"
import { census, watchTimers } from "./census.js"
import { serveNodeHttp } from "./nodeHttp.js"
import { type Census, type Closed, fromText, type Numbered, type Question, type Reply } from "./protocol.js"
import { handler, handlers } from "./routes.js"

const [which, watching] = process.argv.slice(2)
const isWatching = watching === "watchTimers"
if (isWatching) watchTimers()

// What handlers here fail with on purpose is not this run's log.
const rooms = Layer.merge(Server.layerDependencies, Logger.remove(Logger.defaultLogger))

type Rooms = Layer.Layer.Success<typeof rooms>

interface Open {
  readonly server: Server.Server
  readonly scope: Scope.CloseableScope
}

const open = new Map<number, Open>()

const listen = (options: Server.Options) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const server = yield* Scope.extend(Server.make({ address: "127.0.0.1", ...options }), scope)
    const { port } = yield* server.listen({ port: 0 })
    yield* Effect.forkIn(server.serve(handler), scope)
    open.set(port, { server, scope })
    return port
  })

const close = ({ by, port }: Extract<Question, { readonly _tag: "Close" }>): Effect.Effect<Closed> =>
  Effect.gen(function* () {
    const found = open.get(port)
    if (found === undefined) return yield* Effect.dieMessage(`nothing listens on ${port}`)
    open.delete(port)
    const used = process.cpuUsage()
    const began = performance.now()
    const report = by === "close" ? yield* found.server.close : yield* Scope.close(found.scope, Exit.void)
    const milliseconds = performance.now() - began
    const { system, user } = process.cpuUsage(used)
    yield* Scope.close(found.scope, Exit.void)
    return { report, milliseconds, processor: (system + user) / 1000 }
  })

const reported = (supervisor: Supervisor.Supervisor<ReadonlyArray<unknown>>) =>
  Effect.gen(function* () {
    const { held } = yield* DescriptorBudget.DescriptorBudget
    const seen = yield* Effect.promise(() => census(isWatching))
    const fibers = (yield* supervisor.value).length
    const { begun, ended } = handlers
    return { ...seen, held: yield* held, fibers, handlers: begun - ended, begun } satisfies Census
  })

const answerTo = (
  question: Question,
  supervisor: Supervisor.Supervisor<ReadonlyArray<unknown>>
): Effect.Effect<unknown, Server.ListenError, Rooms> => {
  switch (question._tag) {
    case "Census":
      return reported(supervisor)
    case "Listen":
      return listen(question.options)
    case "Close":
      return close(question)
    case "BareFibers":
      return interruptBareFibers(question.count)
  }
}

const reply = (number: number, content: Reply): void => {
  process.send?.({ number, content } satisfies Numbered<Reply>)
}

const serveOurs = Effect.gen(function* () {
  const supervisor = yield* Supervisor.track
  const context = yield* Layer.build(rooms)
  const supervised = yield* Effect.supervised(Effect.runtime<never>(), supervisor)
  // The asking fiber is not counted by the census.
  const quiet = yield* Effect.runtime<never>()
  process.on("message", ({ content, number }: Numbered<string>) => {
    const question = fromText(content)
    const runtime = question._tag === "Listen" ? supervised : quiet
    const replied = Effect.matchCause(Effect.provide(answerTo(question, supervisor), context), {
      onSuccess: (response) => reply(number, { response }),
      onFailure: (cause) => reply(number, { failure: Cause.pretty(cause) })
    })
    Runtime.runFork(runtime)(replied)
  })
  yield* Effect.sync(() => console.log("ready"))
  return yield* Effect.never
})

// The parent process has gone.
process.on("disconnect", () => process.exit())

if (which === "nodeHttp") serveNodeHttp(reply)
else Effect.runFork(Effect.scoped(serveOurs))
