/** Parts of a form that are not read are discarded; a read in another order yields their bytes or an error. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { MaxBodySize } from "@effect/platform/HttpIncomingMessage"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { layerContext } from "../../src/HttpServer.js"
import { serving } from "../platform/harness.js"
import { connect } from "../wire/rawConnection.js"
import { bodyOf, bytesOf, disposed, formHead, formType, send } from "./form.js"

const MiB = 1024 * 1024

type Parts = Stream.Stream<Multipart.Part, Multipart.MultipartError>

type Reading<A> = Effect.Effect<A, Multipart.MultipartError | Option.Option<Multipart.MultipartError>, Scope.Scope>

/** Serves what a reading of the parts gives, as JSON. */
const reading = <A>(read: (parts: Parts) => Reading<A>) =>
  Effect.provide(
    serving(
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ multipartStream }) =>
        Effect.flatMap(Effect.orDie(read(multipartStream)), (value) => HttpServerResponse.json(value))
      ).pipe(Effect.provideService(MaxBodySize, Option.none()))
    ),
    layerContext
  )

const read = <A>(body: Buffer, how: (parts: Parts) => Reading<A>) =>
  Effect.gen(function* () {
    const response = yield* send(yield* reading(how), body)
    expect(response.status).toBe(200)
    return JSON.parse(response.text) as unknown
  })

const file = (name: string, content: string | Uint8Array) => disposed(`name="${name}"; filename="${name}"`, content)

const textOf = (part: Multipart.Part): Effect.Effect<string, Multipart.MultipartError> =>
  Multipart.isField(part)
    ? Effect.succeed(part.value)
    : Effect.map(part.contentEffect, (bytes) => Buffer.from(bytes).toString())

/** The text of a part, or the reason of its error. */
const textOrReason = (part: Multipart.Part) =>
  Effect.catchAll(textOf(part), ({ cause, reason }) => Effect.succeed(`${reason}: ${(cause as Error).message}`))

const large = (letter: string): string => letter.repeat(2 * MiB)

const mixed = bodyOf(
  disposed("name=before", "1"),
  file("large", large("x")),
  disposed("name=between", "2"),
  file("small", "small"),
  disposed("name=after", "3")
)

const passedOver = 'InternalError: the content of the file "large" was skipped'

describe("a file that nothing reads", () => {
  it.scopedLive("is skipped by an application that reads fields alone", () =>
    Effect.gen(function* () {
      const values = yield* read(mixed, (parts) =>
        Effect.map(
          Stream.runCollect(
            Stream.filterMap(parts, (part) => (Multipart.isField(part) ? Option.some(part.value) : Option.none()))
          ),
          Chunk.toReadonlyArray
        )
      )
      expect(values).toStrictEqual(["1", "2", "3"])
    })
  )

  it.scopedLive("is not held, however large it is", () =>
    Effect.gen(function* () {
      setFlagsFromString("--expose-gc")
      const collect = runInNewContext("gc") as () => void
      const buffers = () => {
        collect()
        return process.memoryUsage().arrayBuffers
      }
      const kept: Array<Multipart.Part> = []
      const port = yield* reading((parts) =>
        Effect.map(
          Stream.runForEach(parts, (part) => Effect.sync(() => kept.push(part))),
          () => kept.map(({ key }) => key)
        )
      )
      const size = 64 * MiB
      const head = bytesOf("--boundary\r\n", file("large", ""))
      const tail = bytesOf("\r\n--boundary\r\n", disposed("name=last", "1"), "\r\n--boundary--\r\n")
      const client = yield* connect(port)
      const before = buffers()
      yield* client.send(bytesOf(formHead(head.length + size + tail.length, formType), head))
      const chunk = Buffer.alloc(MiB)
      for (let i = 0; i < size / MiB; i++) yield* client.send(chunk)
      yield* client.send(tail)
      expect(JSON.parse((yield* client.readResponse()).text)).toStrictEqual(["large", "last"])
      expect(kept).toHaveLength(2)
      expect((buffers() - before) / MiB).toBeLessThan(8)
    })
  )

  it.scopedLive("fails whatever reads it later, when it was too large to keep; a small one was kept", () =>
    Effect.gen(function* () {
      const texts = yield* read(mixed, (parts) =>
        Effect.flatMap(Stream.runCollect(parts), (all) => Effect.forEach(all, textOrReason))
      )
      expect(texts).toStrictEqual(["1", passedOver, "2", "small", "3"])
    })
  )

  it.scopedLive("gets 500 if the application reads it later, which is a fault of the application", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const { multipartStream } = yield* HttpServerRequest.HttpServerRequest
        const parts = yield* Stream.runCollect(multipartStream)
        return yield* HttpServerResponse.json(yield* Effect.forEach(parts, textOf))
      })
      expect((yield* send(yield* Effect.provide(serving(app), layerContext), mixed)).status).toBe(500)
    })
  )

  it.scopedLive("is kept up to 1 MiB of all skipped files", () =>
    Effect.gen(function* () {
      const names = ["a", "b", "c", "d", "e"]
      const body = bodyOf(...names.map((name) => file(name, name.repeat(0.3 * MiB))))
      const lengths = yield* read(body, (parts) =>
        Effect.flatMap(Stream.runCollect(parts), (all) =>
          Effect.forEach(all, (part) => Effect.map(textOrReason(part), (text) => text.length))
        )
      )
      const kept = Math.floor(0.3 * MiB)
      expect((lengths as Array<number>).filter((length) => length === kept)).toHaveLength(3)
      expect((lengths as Array<number>).filter((length) => length < 100)).toHaveLength(2)
    })
  )
})

describe("a file that is read in part", () => {
  it.scopedLive("is skipped when its stream has been abandoned", () =>
    Effect.gen(function* () {
      const begun = yield* read(mixed, (parts) =>
        Effect.map(
          Stream.runCollect(
            Stream.mapEffect(
              parts,
              (part): Effect.Effect<string | boolean, Multipart.MultipartError> =>
                Multipart.isField(part)
                  ? Effect.succeed(part.value)
                  : Effect.map(Stream.runHead(part.content), (chunk) => Option.isSome(chunk) && chunk.value.length > 0)
            )
          ),
          Chunk.toReadonlyArray
        )
      )
      expect(begun).toStrictEqual(["1", true, "2", true, "3"])
    })
  )

  it.scopedLive("does not block another read of the same fiber while its stream is open", () =>
    Effect.gen(function* () {
      const seen = yield* read(mixed, (parts) =>
        Effect.gen(function* () {
          const keys: Array<string> = []
          yield* Stream.runForEach(parts, (part) =>
            Effect.gen(function* () {
              keys.push(part.key)
              // It stays open for as long as the request.
              if (Multipart.isFile(part)) yield* yield* Stream.toPull(part.content)
            })
          )
          return keys
        })
      )
      expect(seen).toStrictEqual(["before", "large", "between", "small", "after"])
    })
  )

  it.scopedLive("does not block other parts after its fiber has ended with an open stream", () =>
    Effect.gen(function* () {
      const keys = yield* read(mixed, (parts) =>
        Effect.gen(function* () {
          const scope = yield* Effect.scope
          const begun = Stream.mapEffect(
            parts,
            (part) =>
              Multipart.isField(part)
                ? Effect.succeed(part.key)
                : Effect.as(Effect.flatten(Scope.extend(Stream.toPull(part.content), scope)), part.key),
            { concurrency: "unbounded" }
          )
          return Chunk.toReadonlyArray(yield* Stream.runCollect(begun))
        })
      )
      expect(keys).toStrictEqual(["before", "large", "between", "small", "after"])
    })
  )

  it.scopedLive("fails when it is read again, and does not begin in its middle", () =>
    Effect.gen(function* () {
      const texts = yield* read(bodyOf(file("f", "content")), (parts) =>
        Effect.map(
          Stream.runCollect(Stream.mapEffect(parts, (part) => Effect.all([textOf(part), textOrReason(part)]))),
          Chunk.toReadonlyArray
        )
      )
      expect(texts).toStrictEqual([["content", 'InternalError: the content of the file "f" has been read before']])
    })
  )
})

describe("parts that are read at the same time", () => {
  const names = ["a", "b", "c", "d", "e"]
  const form = bodyOf(...names.map((name) => file(name, large(name))))

  for (const concurrency of [2, 3, "unbounded"] as const) {
    it.scopedLive(`have all their bytes: mapEffect, ${concurrency} at once`, () =>
      Effect.gen(function* () {
        const texts = yield* read(form, (parts) =>
          Effect.map(Stream.runCollect(Stream.mapEffect(parts, textOrReason, { concurrency })), (all) =>
            Array.from(all, (text) => `${text[0]}${text.length}`)
          )
        )
        expect(texts).toStrictEqual(names.map((name) => `${name}${2 * MiB}`))
      })
    )

    it.scopedLive(`have all their bytes: flatMap, ${concurrency} at once`, () =>
      Effect.gen(function* () {
        const sizes = yield* read(form, (parts) =>
          Stream.runFold(
            Stream.flatMap(
              parts,
              (part) =>
                Multipart.isFile(part)
                  ? Stream.map(part.content, (chunk) => [part.key, chunk.length] as const)
                  : Stream.empty,
              { concurrency }
            ),
            {} as Record<string, number>,
            (sizes, [key, length]) => ({ ...sizes, [key]: (sizes[key] ?? 0) + length })
          )
        )
        expect(sizes).toStrictEqual(Object.fromEntries(names.map((name) => [name, 2 * MiB])))
      })
    )
  }

  it.scopedLive("have their bytes or an error, when each is read only after another part has come", () =>
    Effect.gen(function* () {
      const texts = yield* read(mixed, (parts) =>
        Effect.gen(function* () {
          const last = yield* Deferred.make<void>()
          const reading = yield* Stream.runFold(parts, [] as ReadonlyArray<Effect.Effect<string>>, (all, part) => {
            if (part.key === "after") Deferred.unsafeDone(last, Effect.void)
            return [...all, Effect.zipRight(Deferred.await(last), textOrReason(part))]
          })
          return yield* Effect.all(reading, { concurrency: "unbounded" })
        })
      )
      expect(texts).toStrictEqual(["1", passedOver, "2", "small", "3"])
    })
  )

  it.scopedLive("continue when the read of one is interrupted", () =>
    Effect.gen(function* () {
      const keys = yield* read(mixed, (parts) =>
        Effect.gen(function* () {
          const keys: Array<string> = []
          yield* Stream.runForEach(parts, (part) =>
            Effect.gen(function* () {
              keys.push(part.key)
              if (Multipart.isField(part)) return
              const begun = yield* Deferred.make<void>()
              const stuck = Stream.runForEach(part.content, () =>
                Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
              )
              const fiber = yield* Effect.fork(stuck)
              yield* Deferred.await(begun)
              // Asked for and interrupted at once: the next part may wait for the fiber by then.
              yield* Fiber.interruptFork(fiber)
            })
          )
          return keys
        })
      )
      expect(keys).toStrictEqual(["before", "large", "between", "small", "after"])
    })
  )
})

describe("a stream of parts that ends early", () => {
  it.scopedLive("leaves no file to be read after it, and fails with the reason", () =>
    Effect.gen(function* () {
      const text = yield* read(bodyOf(file("f", "content")), (parts) =>
        Effect.flatMap(Stream.runHead(parts), (part) => textOrReason(Option.getOrThrow(part)))
      )
      expect(text).toBe('InternalError: the content of the file "f" was not read before the stream of parts ended')
    })
  )

  it.scopedLive("leaves the connection for the next request", () =>
    Effect.gen(function* () {
      const port = yield* reading((parts) => Effect.map(Stream.runHead(parts), (part) => Option.getOrThrow(part).key))
      const client = yield* connect(port)
      const body = bodyOf(file("f", "content"), disposed("name=a"))
      for (let times = 0; times < 2; times++) {
        yield* client.send(bytesOf(formHead(body.length, formType), body))
        expect((yield* client.readResponse()).text).toBe('"f"')
      }
    })
  )
})
