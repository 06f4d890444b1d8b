/**
 * A program for tests: a server in a process with few descriptors. It prints its port, and its counters for each line of its
 * input.
 */
import { createInterface } from "node:readline"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import * as Listener from "../../src/Listener.js"
import * as RequestParser from "../../src/RequestParser.js"
import { respond } from "../../src/Response.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import * as TcpListener from "../../src/TcpListener.js"

let served = 0
let bound: Listener.BoundListener | undefined

const watched = Layer.map(TcpListener.layer, (context) => {
  const listener = Context.get(context, Listener.Listener)
  return Context.make(Listener.Listener, {
    listen: (options) => Effect.tap(listener.listen(options), (each) => Effect.sync(() => (bound = each)))
  })
})

const dependencies = Layer.provideMerge(
  Layer.mergeAll(watched, RequestParser.layer, ResponseWriter.layer),
  DescriptorBudget.layer()
)

const live = Layer.provideMerge(
  Server.layerWithoutDependencies({ address: "127.0.0.1", drainTimeout: 0 }),
  dependencies
)

const program = Effect.gen(function* () {
  const budget = yield* DescriptorBudget.DescriptorBudget
  const { port } = yield* Server.listen({ port: 0 })
  const counts = Effect.gen(function* () {
    const rejected = bound === undefined ? 0 : yield* bound.rejected
    return JSON.stringify({ served, rejected, held: yield* budget.held })
  })
  createInterface(process.stdin).on("line", () => console.log(Effect.runSync(counts)))
  console.log(port)
  return yield* Server.serve((request) => {
    served++
    return respond(request, 200)
  })
})

// Its output is read by the test, so that nothing is logged.
Effect.runFork(Effect.provide(program, [live, Logger.remove(Logger.defaultLogger)]))
