/** A process that serves on the descriptors of `LISTEN_FDS` until its standard input ends: see `descriptors.test.ts`. */
import { Effect } from "effect"
import { Response, Server, TcpListener } from "effect-asynchttpserver"

// systemd sets it between fork and exec, which a parent in Node cannot.
process.env.LISTEN_PID = String(process.pid)

const program = Effect.gen(function* () {
  const [first, ...others] = yield* TcpListener.systemdDescriptors
  if (first === undefined) return yield* Effect.dieMessage("no descriptor")
  yield* Server.listen({ fd: first, additional: others.map((fd) => ({ fd })) })
  yield* Effect.fork(
    Server.serve((request) => Response.respond(request, 200, "from a descriptor", { Connection: "close" }))
  )
  console.log(JSON.stringify({ addresses: yield* Server.addresses }))
  yield* Effect.async<void>((resume) => void process.stdin.once("end", () => resume(Effect.void)).resume())
})

await Effect.runPromise(Effect.provide(program, Server.layer({ drainTimeout: 0 })))
