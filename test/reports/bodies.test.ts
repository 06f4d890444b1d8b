/** The content of a response is closed, whether it is sent, cut off, or not sent at all. */
import { EventEmitter } from "node:events"
import { Readable } from "node:stream"
import { runInNewContext } from "node:vm"
import { createGzip, gunzipSync } from "node:zlib"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as undici from "undici"
import { layerContext } from "../../src/HttpServer.js"
import { EventLog, serving } from "../platform/harness.js"
import { eventually } from "../support/eventually.js"
import { ask, connect, get, requestText } from "../wire/rawConnection.js"

type Response_ = HttpServerResponse.HttpServerResponse

/** What has been opened and not closed. */
class Sources {
  opened = 0
  closed = 0

  /** A stream of the web that is open from the start, and gives bytes for as long as it is read. */
  readonly web = (): ReadableStream<Uint8Array> => {
    this.opened++
    let isClosed = false
    return new ReadableStream({
      pull: async (controller) => {
        await new Promise((resolve) => setImmediate(resolve))
        if (!isClosed) controller.enqueue(new Uint8Array(1000))
      },
      cancel: () => {
        isClosed = true
        this.closed++
      }
    })
  }

  readonly readable = (): Readable => {
    this.opened++
    return new Readable({
      read() {
        setImmediate(() => this.push(Buffer.alloc(1000)))
      },
      destroy: (error, done) => {
        this.closed++
        done(error)
      }
    })
  }

  /** A stream as they were before Node 0.10: events, `pause` and `resume`. */
  readonly oldReadable = (ending: "destroy" | "close"): NodeJS.ReadableStream => {
    this.opened++
    let timer: NodeJS.Immediate | undefined
    const stream = new EventEmitter() as EventEmitter & Record<string, unknown>
    const go = (): void => {
      timer = setImmediate(() => {
        stream.emit("data", Buffer.alloc(1000))
        if (timer !== undefined) go()
      })
    }
    stream.pipe = (): void => {}
    stream.pause = (): void => {
      clearImmediate(timer)
      timer = undefined
    }
    stream.resume = go
    let isClosed = false
    stream[ending] = () => {
      clearImmediate(timer)
      timer = undefined
      if (!isClosed) this.closed++
      isClosed = true
    }
    stream.on("newListener", (event) => {
      if (event === "data") go()
    })
    // It has all that is looked for.
    return stream as unknown as NodeJS.ReadableStream
  }

  readonly scoped: Stream.Stream<Uint8Array> = Stream.unwrapScoped(
    Effect.as(
      Effect.acquireRelease(
        Effect.sync(() => this.opened++),
        () => Effect.sync(() => this.closed++)
      ),
      Stream.forever(
        Stream.fromEffect(
          Effect.zipRight(
            Effect.yieldNow(),
            Effect.sync(() => new Uint8Array(1000))
          )
        )
      )
    )
  )

  async *generator(): AsyncGenerator<Uint8Array> {
    this.opened++
    try {
      for (;;) yield new Uint8Array(1000)
    } finally {
      this.closed++
    }
  }

  readonly allClosed = eventually(
    Effect.sync(() => this.opened - this.closed),
    (open) => open === 0,
    "everything closed"
  )
}

const sources: Readonly<Record<string, (sources: Sources) => Response_>> = {
  "a web stream": ({ web }) => HttpServerResponse.raw(web()),
  "a Response": ({ web }) => HttpServerResponse.raw(new Response(web())),
  "a Response of another package": ({ web }) =>
    HttpServerResponse.raw(new undici.Response(web() as unknown as ConstructorParameters<typeof undici.Response>[0])),
  "a Response by fromWeb": ({ web }) => HttpServerResponse.fromWeb(new Response(web())),
  "a web stream in a stream of Effect": ({ web }) => {
    const source = web()
    return HttpServerResponse.stream(Stream.fromReadableStream(() => source, String))
  },
  "a web stream in a stream of Effect, mapped": ({ web }) => {
    const source = web()
    return HttpServerResponse.stream(
      Stream.map(
        Stream.fromReadableStream(() => source, String),
        (chunk) => chunk
      )
    )
  },
  "a blob": ({ web }) =>
    HttpServerResponse.raw({ stream: web, arrayBuffer: () => Promise.reject(new Error("not this one")), size: 1 }),
  "a readable": ({ readable }) => HttpServerResponse.raw(readable()),
  "a readable of a generator": (sources) => HttpServerResponse.raw(Readable.from(sources.generator())),
  "an old readable that has destroy": ({ oldReadable }) => HttpServerResponse.raw(oldReadable("destroy")),
  "an old readable that has close": ({ oldReadable }) => HttpServerResponse.raw(oldReadable("close")),
  "a stream with a scope": ({ scoped }) => HttpServerResponse.stream(scoped),
  "a stream of a generator": (sources) =>
    HttpServerResponse.stream(Stream.fromAsyncIterable(sources.generator(), String))
}

const prepared = (app: HttpApp.Default, handler: HttpApp.PreResponseHandler): HttpApp.Default =>
  Effect.zipRight(HttpApp.appendPreResponseHandler(handler), app)

const text = HttpServerResponse.text("other")

const unsent: Readonly<
  Record<string, readonly [method: string, app: (make: () => Response_) => HttpApp.Default, given?: object]>
> = {
  HEAD: ["HEAD", (make) => Effect.sync(make)],
  "a 204": ["GET", (make) => Effect.sync(() => HttpServerResponse.setStatus(make(), 204))],
  "a 205": ["GET", (make) => Effect.sync(() => HttpServerResponse.setStatus(make(), 205))],
  "a 304": ["GET", (make) => Effect.sync(() => HttpServerResponse.setStatus(make(), 304))],
  "a header that cannot be sent": ["GET", (make) => Effect.sync(() => HttpServerResponse.setHeader(make(), "x", "\n"))],
  "a length that is none": [
    "GET",
    (make) => Effect.sync(() => HttpServerResponse.setHeader(make(), "content-length", "x"))
  ],
  "a cookie that cannot be written": [
    "GET",
    (make) => Effect.sync(() => HttpServerResponse.unsafeSetCookie(make(), "a", "b", { expires: "soon" as never }))
  ],
  "a status that is none": ["GET", (make) => Effect.sync(() => HttpServerResponse.setStatus(make(), 1000))],
  "another response by a pre-response handler": [
    "GET",
    (make) => prepared(Effect.sync(make), () => Effect.succeed(text))
  ],
  "no body by a pre-response handler": [
    "GET",
    (make) =>
      prepared(Effect.sync(make), (_, response) => Effect.succeed(HttpServerResponse.setBody(response, HttpBody.empty)))
  ],
  "a pre-response handler that fails": ["GET", (make) => prepared(Effect.sync(make), () => Effect.die("a defect"))],
  "a response that a middleware gives after another": [
    "GET",
    () => Effect.succeed(text),
    { middleware: (make: () => Response_) => (app: HttpApp.Default) => Effect.zipRight(app, Effect.sync(make)) }
  ]
}

describe("content that is not sent is closed", () => {
  for (const [how, [method, app, given]] of Object.entries(unsent)) {
    for (const [what, make] of Object.entries(sources)) {
      it.scopedLive(`${what}, by ${how}`, () =>
        Effect.gen(function* () {
          const all = new Sources()
          const made = () => make(all)
          const options =
            given === undefined
              ? {}
              : { middleware: (given as { middleware: (_: () => Response_) => never }).middleware(made) }
          const port = yield* serving(app(made), options)
          yield* ask(port, requestText(`${method} /`), method)
          yield* all.allClosed
          expect(all.closed).toBe(all.opened)
        })
      )
    }
  }

  for (const [what, make] of Object.entries(sources)) {
    it.scopedLive(`${what}, by a client that has disconnected before`, () =>
      Effect.gen(function* () {
        const all = new Sources()
        const log = new EventLog<string>()
        const left = log.some((line) => line === "left")
        const app = Effect.uninterruptible(
          Effect.zipRight(
            Effect.zipRight(log.told("running"), left),
            Effect.sync(() => make(all))
          )
        )
        const port = yield* serving(Effect.ensuring(app, log.told("made")), { interruptOnDisconnect: false })
        const client = yield* connect(port)
        yield* client.send(requestText("GET /"))
        yield* log.upTo(1)
        yield* client.reset
        yield* log.told("left")
        yield* log.some((line) => line === "made")
        yield* all.allClosed
        expect(all.closed).toBe(all.opened)
      })
    )
  }
})

describe("content that is cut off is closed", () => {
  for (const [what, make] of Object.entries(sources)) {
    it.scopedLive(`${what}, by a client that disconnects`, () =>
      Effect.gen(function* () {
        const all = new Sources()
        const client = yield* connect(yield* serving(Effect.sync(() => make(all))))
        yield* client.send(requestText("GET /"))
        yield* client.readUntil((seen) => seen.length > 2000)
        expect(all.opened - all.closed).toBe(1)
        yield* client.reset
        yield* all.allClosed
      })
    )

    it.scopedLive(`${what}, by a length that it exceeds`, () =>
      Effect.gen(function* () {
        const all = new Sources()
        const response = Effect.sync(() => HttpServerResponse.setHeader(make(all), "content-length", "1500"))
        const client = yield* connect(yield* serving(response))
        yield* client.send(requestText("GET /"))
        yield* client.readUntil((seen) => seen.length > 100)
        yield* all.allClosed
      })
    )
  }

  it.scopedLive("a web stream with a cancellation that never ends, and the scope of the request too", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const stream = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(10)),
        cancel: () => new Promise<void>(() => log.tell("cancelled"))
      })
      const app = Effect.as(
        Effect.addFinalizer(() => log.told("ended")),
        HttpServerResponse.raw(stream, { contentLength: 20 })
      )
      yield* get(yield* serving(app))
      expect(yield* log.upTo(2)).toStrictEqual(["cancelled", "ended"])
    })
  )
})

describe("content that is sent", () => {
  it.scopedLive("may be made of the content that it replaces: a readable that is compressed", () =>
    Effect.gen(function* () {
      const lines = "a line\n".repeat(10_000)
      const source = Readable.from([Buffer.from(lines)])
      const app = prepared(
        Effect.sync(() => HttpServerResponse.raw(source)),
        (_, response) =>
          Effect.sync(() => HttpServerResponse.setBody(response, HttpBody.raw(source.pipe(createGzip()))))
      )
      const response = yield* get(yield* serving(app))
      expect(gunzipSync(response.body).toString()).toBe(lines)
      expect(source.destroyed).toBe(true)
    })
  )

  it.scopedLive("may be made of the content that it replaces: a Response that is transformed", () =>
    Effect.gen(function* () {
      const app = prepared(
        Effect.sync(() => HttpServerResponse.fromWeb(new Response("text"))),
        (_, response) => {
          if (response.body._tag !== "Stream") return Effect.die("another body")
          const upper = Stream.map(response.body.stream, (bytes) =>
            Buffer.from(Buffer.from(bytes).toString().toUpperCase())
          )
          return Effect.succeed(HttpServerResponse.setBody(response, HttpBody.stream(upper)))
        }
      )
      expect((yield* get(yield* serving(app))).text).toBe("TEXT")
    })
  )

  const foreign = runInNewContext(`({
    bytes: new Uint8Array([97, 98]),
    buffer: new Uint8Array([97, 98]).buffer,
    view: new DataView(new Uint8Array([0, 97, 98, 0]).buffer, 1, 2)
  })`) as { readonly bytes: Uint8Array; readonly buffer: ArrayBuffer; readonly view: DataView }

  for (const [what, response] of Object.entries({
    "bytes of another realm": () => HttpServerResponse.raw(foreign.bytes),
    "a buffer of another realm": () => HttpServerResponse.raw(foreign.buffer),
    "a view of another realm": () => HttpServerResponse.raw(foreign.view),
    "a web stream of such bytes": () =>
      HttpServerResponse.raw(
        new ReadableStream({
          start: (controller) => {
            controller.enqueue(foreign.bytes)
            controller.close()
          }
        })
      ),
    "a readable of such bytes": () => HttpServerResponse.raw(Readable.from([foreign.bytes])),
    "a Response of another package": () => HttpServerResponse.raw(new undici.Response("ab")),
    "a blob by its methods": () => {
      const blob = new Blob(["ab"])
      return HttpServerResponse.raw({ stream: () => blob.stream(), arrayBuffer: () => blob.arrayBuffer(), size: 2 })
    },
    "a web stream of texts": () => HttpServerResponse.raw(Readable.toWeb(Readable.from(["a", "b"])))
  })) {
    it.scopedLive(`may be ${what}`, () =>
      Effect.gen(function* () {
        const port = yield* Effect.provide(serving(Effect.sync(response)), layerContext)
        expect((yield* get(port)).text).toBe("ab")
      })
    )
  }
})
