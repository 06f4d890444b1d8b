/** The replies of the test kit run no stream if its content is not sent. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Reply, TestServer } from "../../src/Testing.js"
import { testTimeout } from "../support/eventually.js"

vi.setConfig({ testTimeout })

describe("an endless reply", () => {
  for (const [what, reply] of Object.entries({ events: Reply.events, stream: Reply.stream })) {
    for (const status of [204, 304] as const) {
      it.effect(`of ${what} ends at once with ${status}, and is not run`, () =>
        Effect.gen(function* () {
          let isRun = false
          const content = Stream.fromEffect(
            Effect.zipRight(
              Effect.sync(() => (isRun = true)),
              Effect.never
            )
          )
          const live = TestServer.layerMemory(reply(content, { status }))
          const response = yield* Effect.provide(HttpClient.get("/"), live)
          expect([response.status, isRun]).toStrictEqual([status, false])
        })
      )
    }

    it.effect(`of ${what} ends at once for HEAD, and is not run`, () =>
      Effect.gen(function* () {
        let isRun = false
        const content = Stream.fromEffect(
          Effect.zipRight(
            Effect.sync(() => (isRun = true)),
            Effect.never
          )
        )
        const response = yield* Effect.provide(HttpClient.head("/"), TestServer.layerMemory(reply(content)))
        expect([response.status, isRun]).toStrictEqual([200, false])
      })
    )
  }
})
