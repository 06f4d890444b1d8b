/** The cost of a form: its parts, their field lines, and bytes that arrive one by one. */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import * as UrlParams from "@effect/platform/UrlParams"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { layerContext } from "../../src/HttpServer.js"
import { serving } from "../platform/harness.js"
import { bodyOf, bytesOf, disposed, part, send, sendChunked } from "./form.js"

const { HttpServerRequest: request } = HttpServerRequest

/** Processor time in seconds, of this process: the client's is a part of it. */
const processorTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, number], E, R> =>
  Effect.suspend(() => {
    const begun = process.cpuUsage()
    return Effect.map(effect, (value) => {
      const { system, user } = process.cpuUsage(begun)
      return [value, (system + user) / 1_000_000] as const
    })
  })

const count = Effect.flatMap(request, ({ multipartStream }) => Effect.map(Stream.runCount(multipartStream), String))

const persistedCount = Effect.flatMap(request, ({ multipart }) =>
  Effect.map(multipart, (form) =>
    String(Object.values(form).reduce((sum, value) => sum + (typeof value === "string" ? 1 : value.length), 0))
  )
)

const countings = { multipartStream: count, multipart: persistedCount }

const files = (length: number): Buffer =>
  bodyOf(...Array.from({ length }, (_, i) => disposed(`name=f; filename="${i}.txt"`, "x")))

const fields = (length: number): Buffer => bodyOf(...Array.from({ length }, (_, i) => disposed(`name=f${i}`, "x")))

describe.each(Object.entries(countings))("%s of a form", (_, counting) => {
  const app = Effect.map(counting, (text) => HttpServerResponse.text(text))

  const servingForms = (limited: typeof app = app) => Effect.provide(serving(limited), layerContext)

  for (const [what, make] of Object.entries({ files, fields })) {
    it.scopedLive(`of 1000 ${what} is read, and of 1001 gets 413`, () =>
      Effect.gen(function* () {
        const port = yield* servingForms()
        const allowed = yield* send(port, make(1000))
        expect([allowed.status, allowed.text]).toStrictEqual([200, "1000"])
        expect((yield* send(port, make(1001))).status).toBe(413)
      })
    )

    it.scopedLive(`of 16,000 ${what} costs no more than that`, () =>
      Effect.gen(function* () {
        const [response, seconds] = yield* processorTime(send(yield* servingForms(), make(16_000)))
        expect(response.status).toBe(413)
        expect(seconds).toBeLessThan(6)
      })
    )

    it.scopedLive(`may have as many ${what} as the application allows`, () =>
      Effect.gen(function* () {
        // Each file is written to the disk: no more than are needed to exceed the default of 1000.
        const many = yield* servingForms(Multipart.withMaxParts(app, Option.some(1001)))
        expect((yield* send(many, make(1001))).text).toBe("1001")
        expect((yield* send(many, make(1002))).status).toBe(413)
        const any = yield* servingForms(Multipart.withMaxParts(app, Option.none()))
        expect((yield* send(any, make(1003))).text).toBe("1003")
      })
    )
  }

  it.scopedLive("may have field lines of 16 KiB in a part, and gets 413 beyond", () =>
    Effect.gen(function* () {
      const port = yield* servingForms()
      const withLine = (length: number) =>
        bodyOf(part([`Content-Disposition: form-data; name=a; x="${"x".repeat(length)}"`]))
      expect((yield* send(port, withLine(16_000))).status).toBe(200)
      expect((yield* send(port, withLine(16_385))).status).toBe(413)
      expect((yield* send(port, withLine(1_000_000))).status).toBe(413)
      const lines = (length: number) =>
        bodyOf(part([...Array(length).fill("X: x"), "Content-Disposition: form-data; name=a"]))
      expect((yield* send(port, lines(1000))).status).toBe(200)
      expect((yield* send(port, lines(100_000))).status).toBe(413)
    })
  )

  it.scopedLive("costs a small multiple of its bytes, when they come in chunks of one", () =>
    Effect.gen(function* () {
      const content = "x".repeat(50_000)
      const body = bodyOf(disposed("name=a", content), disposed("name=f; filename=f", content))
      const chunks = Array.from(body, (_, i) => body.subarray(i, i + 1))
      const [response, seconds] = yield* processorTime(sendChunked(yield* servingForms(), chunks))
      expect([response.status, response.text]).toStrictEqual([200, "2"])
      expect(seconds).toBeLessThan(8)
    })
  )
})

describe("an error of a form", () => {
  const messages: ReadonlyArray<readonly [what: string, body: Buffer, reason: string, message: string]> = [
    ["too many parts", fields(1001), "TooManyParts", "the form has more than 1000 parts"],
    [
      "too long field lines",
      bodyOf(part([`X: ${"x".repeat(20_000)}`])),
      "FieldTooLarge",
      "a part has more than 16384 bytes of field lines"
    ],
    ["no boundary", bytesOf("--other\n"), "Parse", "the boundary does not occur"],
    ["no end", bodyOf(disposed("name=a")).subarray(0, -5), "Parse", "the form ends before its closing boundary"],
    ["no name", bodyOf(part([])), "Parse", "a part has no Content-Disposition of form-data with a name"]
  ]

  for (const [what, body, reason, message] of messages) {
    it.scopedLive(`names the fault: ${what}`, () =>
      Effect.gen(function* () {
        const app = Effect.flatMap(request, ({ multipartStream }) =>
          Effect.catchAll(Effect.as(Stream.runDrain(multipartStream), HttpServerResponse.empty()), (error) =>
            HttpServerResponse.json([error.reason, (error.cause as Error).message])
          )
        )
        const response = yield* send(yield* Effect.provide(serving(app), layerContext), body)
        expect(JSON.parse(response.text)).toStrictEqual([reason, message])
      })
    )
  }
})

describe("a form in the URL's encoding", () => {
  it.scopedLive("of 100,000 fields costs no more than its bytes", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(request, ({ urlParamsBody }) =>
        Effect.map(urlParamsBody, (params) =>
          HttpServerResponse.text(String(Object.keys(UrlParams.toRecord(params)).length))
        )
      )
      const body = Buffer.from(Array.from({ length: 100_000 }, (_, i) => `a${i}=${i}`).join("&"))
      const port = yield* Effect.provide(serving(app), layerContext)
      const [response, seconds] = yield* processorTime(send(port, body, "application/x-www-form-urlencoded"))
      expect(response.text).toBe("100000")
      expect(seconds).toBeLessThan(5)
    })
  )
})
