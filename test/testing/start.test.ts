/** The kit without Effect. */
import { Effect } from "effect"
import { Response } from "effect-asynchttpserver"
import { TestServer } from "effect-asynchttpserver/testing"
import { expect, it } from "vitest"

it("serves, records, and closes", async () => {
  const server = await TestServer.start((request) => Response.respond(request, 201, "made"))
  const asked = server.takeRequest()
  const received = await fetch(`${server.url}/things`, { method: "POST", body: '{"a":1}' })
  expect([received.status, await received.text()]).toStrictEqual([201, "made"])
  const request = await asked
  expect(request.path).toBe("/things")
  expect(await request.json()).toStrictEqual({ a: 1 })
  expect(await request.outcome()).toStrictEqual({ _tag: "Responded", status: 201 })
  expect(server.requests()).toStrictEqual([request])
  await server.close()
  await server.close()
  await expect(fetch(server.url)).rejects.toThrow("fetch failed")
})

it("close rejects with the error of a failed handler", async () => {
  const boom = new Error("boom")
  const server = await TestServer.start(() => Effect.die(boom))
  expect((await fetch(server.url)).status).toBe(500)
  await expect(server.close()).rejects.toBe(boom)
})

it("rejects a pending takeRequest when it is disposed of", async () => {
  const server = await TestServer.start((request) => Response.respond(request, 200))
  const asked = server.takeRequest()
  await server[Symbol.asyncDispose]()
  await expect(asked).rejects.toThrow("The test server was closed")
})
