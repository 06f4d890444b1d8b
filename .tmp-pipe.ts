import * as Effect from "effect/Effect"
const root = process.argv[2]!
const mode = process.argv[3] ?? "sync"
const batch = Number(process.argv[4] ?? 16)
const { makeInMemory } = await import(`${root}/test/server/memoryConnection.ts`)
const { respond } = await import(`${root}/src/Response.ts`)
const { toHandler } = await import(`${root}/src/HttpServer.ts`)
const { HttpServerResponse } = await import("@effect/platform")
const app = toHandler(HttpServerResponse.text("Hello World"))
const handlers: any = {
  sync: (r: any) => respond(r, 200, "Hello World", { "Content-Type": "text/plain" }),
  gen: (r: any) => Effect.gen(function*(){ return yield* respond(r, 200, "Hello World", { "Content-Type": "text/plain" }) }),
  app,
  post: (r: any) => Effect.flatMap(r.bytes, (b: any) => respond(r, 200, "x"))
}
let handled = 0
const counting = (h: any) => (r: any) => { handled++; return h(r) }
const run = Effect.gen(function* () {
  const made = yield* makeInMemory({})
  yield* Effect.forkScoped(made.server.serve(counting(handlers[mode])))
  const all: any[] = []
  let written = 0, want = 0
  for (let k = 0; k < 32; k++) {
    const connection: any = { id: k, local: {_tag:"None"}, remote: {_tag:"None"}, open: (e: any) => { all.push(e) }, pause(){}, resume(){}, write: (p: any) => { written++ }, isFull: () => false, unsent: () => 0, end(){}, close(){}, abort(){}, destroy(){} }
    made.arrive(connection)
  }
  yield* Effect.sleep(10)
  const one = mode === "post" ? "POST /bytes HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 1024\r\n\r\n" + "x".repeat(1024) : "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
  const bytes = Buffer.from(one.repeat(batch))
  const n = 200000
  yield* Effect.promise(async () => {
    for (let round = 0; round < 7; round++) {
      written = 0
      const t0 = process.cpuUsage()
      for (let i = 0; i < n / batch / 32; i++) {
        for (const events of all) events.onBytes(Buffer.from(bytes))
        want += 32 * batch
        do await new Promise((r) => setImmediate(r)); while (handled < want)
      }
      await new Promise((r) => setImmediate(r))
      const c = process.cpuUsage(t0)
      console.log(root.includes("base") ? "base" : "load", mode, batch, ((c.user + c.system) / n).toFixed(3), "us/req", written)
    }
  })
})
Effect.runPromise(Effect.scoped(run as any)).then(() => process.exit())
