/**
 * The entry `testing`: test servers over loopback and in memory, and faults.
 */
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { Effect, Fiber, Schedule, TestClock, TestContext } from "effect"
import { Fault, Reply, TestServer } from "effect-asynchttpserver/testing"
import { equal, group } from "./checks.js"

export const kit = group("kit")

const { check } = kit

const routes = Reply.routes({
  "GET /users/:id": (request, { id }) => Reply.json({ id: Number(id) })(request),
  "POST /users": Reply.json({ id: 1 }, { status: 201 })
})

const layers = { loopback: TestServer.layer, memory: TestServer.layerMemory }

for (const [name, layer] of Object.entries(layers)) {
  check(`routes, recorded requests and expectations (${name})`, () =>
    Effect.gen(function* () {
      yield* TestServer.expect({ method: "POST", path: "/users", json: { name: "Ann" } })
      const response = yield* HttpClient.execute(
        HttpClientRequest.bodyUnsafeJson(HttpClientRequest.post("/users"), { name: "Ann" })
      )
      equal(response.status, 201)
      equal((yield* (yield* HttpClient.get("/users/7")).json).id, 7)
      equal((yield* TestServer.received).length, 2)
      yield* TestServer.assertNoLeaks
    }).pipe(TestServer.supervise, Effect.scoped, Effect.provide(layer(routes)), Effect.runPromise)
  )

  check(`faults, and a client that retries (${name})`, () => {
    let requests = 0
    const hello = Reply.text("Hello")
    const faults = [Fault.resetAfterBytes(10)(hello), Fault.closeAfterRequest, Fault.truncate(2)(hello), Fault.garbage]
    const handler = (request) => (faults[requests++] ?? hello)(request)
    return Effect.gen(function* () {
      const text = HttpClient.get("/").pipe(Effect.flatMap((response) => response.text))
      equal(yield* Effect.retry(text, Schedule.recurs(4)), "Hello")
      equal(requests, 5)
    }).pipe(Effect.scoped, Effect.provide(layer(handler)), Effect.runPromise)
  })

  check(`an hour of latency under TestClock (${name})`, () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(Effect.flatMap(HttpClient.get("/"), (response) => response.text))
      yield* TestServer.advance("1 hour")
      equal(yield* Fiber.join(fiber), "late")
      equal(yield* TestClock.currentTimeMillis, 3_600_000)
    }).pipe(
      Effect.scoped,
      Effect.provide(layer(Fault.latency({ mean: "1 hour" })(Reply.text("late")))),
      Effect.provide(TestContext.TestContext),
      Effect.runPromise
    )
  )
}

check("start, and fetch", async () => {
  const server = await TestServer.start(Reply.text("started"))
  try {
    equal(await (await fetch(`${server.url}/greeting`)).text(), "started")
    equal((await server.takeRequest()).path, "/greeting")
  } finally {
    await server.close()
  }
})

check("a reset, as fetch reports it", async () => {
  const server = await TestServer.start(Fault.resetAfterRequest)
  try {
    const failed = await fetch(server.url).then(
      () => false,
      () => true
    )
    equal(failed, true)
  } finally {
    await server.close()
  }
})
