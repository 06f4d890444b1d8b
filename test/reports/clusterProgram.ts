/**
 * A program of `node:cluster`: the primary forks workers that listen on one port of the system's choice, sends them
 * requests, closes one of them and kills another, and prints which workers have responded.
 */
import cluster, { type Worker } from "node:cluster"
import { once } from "node:events"
import { request } from "node:http"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Response from "effect-asynchttpserver/Response"
import * as Server from "effect-asynchttpserver/Server"

const [, , kind = "native", scheduling = "rr", reusePort = "shared"] = process.argv

const name = String(process.pid)

/** Serves with this process's id; gives the URL, and what ends it. */
const native = async () => {
  const scope = Effect.runSync(Scope.make())
  const options = {
    address: "127.0.0.1",
    port: Number(process.env.TEST_PORT ?? 0),
    reusePort: reusePort === "auto" ? ("auto" as const) : reusePort === "reusePort"
  }
  const server = await Effect.runPromise(
    Scope.extend(Effect.provide(Server.make(options), Server.layerDependencies), scope)
  )
  const address = await Effect.runPromise(server.listen({ port: options.port }))
  Effect.runFork(Effect.ignore(server.serve((request) => Response.respond(request, 200, name))))
  const again = async () => {
    await Effect.runPromise(server.close)
    await Effect.runPromise(server.listen({ port: address.port }))
    Effect.runFork(Effect.ignore(server.serve((request) => Response.respond(request, 200, name))))
  }
  return {
    port: address.port,
    again,
    end: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const application = async () => {
  const HttpServer = await import("effect-asynchttpserver/HttpServer")
  const HttpServerResponse = await import("@effect/platform/HttpServerResponse")
  const scope = Effect.runSync(Scope.make())
  const serving = Effect.gen(function* () {
    const server = yield* HttpServer.make({ host: "127.0.0.1" })
    yield* server.serve(HttpServerResponse.text(name))
    return server.address
  })
  const address = await Effect.runPromise(Scope.extend(serving, scope))
  return {
    port: address._tag === "TcpAddress" ? address.port : 0,
    again: async () => {},
    end: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const work = async (): Promise<void> => {
  const { again, end, port } = await (kind === "native" ? native() : application())
  process.on("message", async (message) => {
    if (message === "end") await end()
    if (message === "again") await again()
    process.send?.(message)
  })
  process.send?.(port)
}

/** Sends a request on a new connection; resolves to the id of the worker that responded. */
const ask = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ port, host: "127.0.0.1", agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      })
      response.on("end", () => resolve(text))
    })
    asked.on("error", reject).end()
  })

const askers = async (port: number): Promise<ReadonlySet<string>> => {
  const pids = new Set<string>()
  for (let count = 0; count < 30; count++) pids.add(await ask(port))
  return pids
}

const started = async (): Promise<{ readonly worker: Worker; readonly port: number; readonly pid: string }> => {
  const worker = cluster.fork()
  const [port] = await once(worker, "message")
  return { worker, port: Number(port), pid: String(worker.process.pid) }
}

const lead = async (): Promise<void> => {
  cluster.schedulingPolicy = scheduling === "none" ? cluster.SCHED_NONE : cluster.SCHED_RR
  const first = await started()
  // With `SO_REUSEPORT` each worker has its own socket, so that the port must be known.
  if (reusePort === "reusePort") process.env.TEST_PORT = String(first.port)
  const others = await Promise.all([started(), started()])
  const workers = [first, ...others]
  const { port } = first
  const all = await askers(port)
  // Workers that listen at port 0 share it under that number: only those that name a port can listen at it again.
  if (process.env.TEST_PORT !== undefined) {
    first.worker.send("again")
    await once(first.worker, "message")
  }
  const afterAgain = await askers(port)
  first.worker.send("end")
  await once(first.worker, "message")
  const afterClose = await askers(port)
  others[0].worker.process.kill("SIGKILL")
  await once(others[0].worker, "exit")
  const afterKill = await askers(port)
  const indexes = (pids: ReadonlySet<string>) =>
    Array.from(pids, (pid) => workers.findIndex((each) => each.pid === pid)).sort()
  console.log(
    JSON.stringify({
      ports: new Set(workers.map(({ port }) => port)).size,
      all: indexes(all),
      afterAgain: indexes(afterAgain),
      afterClose: indexes(afterClose),
      afterKill: indexes(afterKill)
    })
  )
  for (const { worker } of workers) worker.process.kill("SIGKILL")
}

await (cluster.isPrimary ? lead() : work())
