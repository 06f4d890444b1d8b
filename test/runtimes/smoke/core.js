/**
 * The core: requests, bodies, streams, timeouts, closing, upgrades and Unix domain sockets.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { Response } from "effect-asynchttpserver"
import { equal, group, match } from "./checks.js"
import { exchange, get, lastGet, open, pause, readSlowly } from "./client.js"
import { content, serving, slowLimits, slowly } from "./serving.js"

export const core = group("core")

const { check } = core

const echo = (request) =>
  Effect.flatMap(request.text, (text) => Response.respond(request, 200, `${request.path} ${text}`))

check("GET", () =>
  serving(echo, async ({ port }) => {
    match(await exchange(port, lastGet("/a")), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n\/a $/)
  })
)

check("POST with Content-Length", () =>
  serving(echo, async ({ port }) => {
    const request = "POST /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    match(await exchange(port, request), /\r\n\r\n\/b hello$/)
  })
)

check("chunked request with trailers", () =>
  serving(
    (request) =>
      Effect.flatMap(request.text, (text) =>
        Effect.flatMap(request.trailers, ({ size }) => Response.respond(request, 200, `${text} ${size}`))
      ),
    async ({ port }) => {
      const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      match(await exchange(port, `${head}3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n`), /\r\n\r\nabcde 1$/)
    }
  )
)

check("pipelined requests, responses in order", () =>
  serving(echo, async ({ port }) => {
    const paths = Array.from({ length: 16 }, (_, i) => `/${i}`)
    const text = await exchange(port, paths.map((path, i) => (i === 15 ? lastGet(path) : get(path))).join(""))
    equal(Array.from(text.matchAll(/\r\n\r\n(\/\d+) /g), ([, path]) => path).join(), paths.join())
  })
)

check("keep-alive, one connection", () =>
  serving(echo, async ({ port }) => {
    const client = await open(port)
    for (const path of ["/1", "/2", "/3"]) {
      client.send(get(path))
      await client.receive(new RegExp(`\\r\\n\\r\\n${path} $`))
    }
    client.socket.destroy()
  })
)

check("a malformed request: 400", () =>
  serving(echo, async ({ port }) =>
    match(await exchange(port, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"), /^HTTP\/1\.1 400 /)
  )
)

check("a client that has sent FIN receives its response", () =>
  serving(echo, async ({ port }) => {
    const client = await open(port, { allowHalfOpen: true })
    client.socket.end(get("/half"))
    match(await client.ended(), /\r\n\r\n\/half $/)
    client.socket.destroy()
  })
)

check("a streamed response", () =>
  serving(
    (request) => Response.respondStream(request, 200, Stream.encodeText(Stream.make("one", "two", "three"))),
    async ({ port }) =>
      match(await exchange(port, lastGet("/")), /chunked[\s\S]*one[\s\S]*two[\s\S]*three\r\n0\r\n\r\n$/)
  )
)

check("a body streamed back while it arrives", () =>
  serving(
    (request) => Response.respondStream(request, 200, request.stream),
    async ({ port }) => {
      const client = await open(port)
      client.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
      await client.receive(/5\r\nfirst\r\n/)
      client.send("6\r\nsecond\r\n0\r\n\r\n")
      match(await client.ended(), /6\r\nsecond\r\n0\r\n\r\n$/)
      client.socket.destroy()
    }
  )
)

check("100 connections at once", () =>
  serving(echo, async ({ port }) => {
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => exchange(port, lastGet(`/${i}`))))
    equal(all.filter((text, i) => text.endsWith(`\r\n\r\n/${i} `)).length, 100)
  })
)

const large = (request) => Response.respond(request, 200, content)

/** Checks that a slow reader receives everything. */
const receivesAll = async (client) => {
  client.socket.removeAllListeners("data")
  const read = readSlowly(client.socket, slowly)
  client.send(lastGet("/"))
  const total = await read
  client.socket.destroy()
  if (total < content.length) throw new Error(`received ${total} of ${content.length} bytes`)
}

check("24 MiB in one write, to a client that reads steadily for longer than writeTimeout", () =>
  serving(large, async ({ port }) => receivesAll(await open(port)), { limits: slowLimits })
)

check("24 MiB in 16 writes, to a client that reads steadily for longer than writeTimeout", () => {
  const part = content.subarray(0, content.length / 16)
  return serving(
    (request) =>
      Response.respondStream(
        request,
        200,
        Stream.map(Stream.range(1, 16), () => part)
      ),
    async ({ port }) => receivesAll(await open(port)),
    { limits: slowLimits }
  )
})

/** Checks that a client that has stopped reading is disconnected. */
const isCutOff = async (client) => {
  client.socket.removeAllListeners("data")
  client.socket.pause()
  client.send(lastGet("/"))
  // Longer than the timeout: what has been received by then is all that there is.
  await pause(2500)
  let total = 0
  client.socket.on("data", (bytes) => {
    total += bytes.length
  })
  client.socket.resume()
  await client.ended()
  client.socket.destroy()
  if (total >= content.length) throw new Error("received everything")
}

check("a client that stops reading is disconnected after writeTimeout", () =>
  serving(large, async ({ port }) => isCutOff(await open(port)), { limits: slowLimits })
)

/** A response without a length or chunks (HTTP/1.0) that fails: a FIN would make it look complete. */
export const failing = (received) => (request) =>
  Response.respondStream(
    request,
    200,
    Stream.concat(
      Stream.make(Buffer.from("part")),
      Stream.fromEffect(Effect.zipRight(Deferred.await(received), Effect.die("broken")))
    )
  )

check("a failed response whose end is that of the connection ends by a reset", async () => {
  const received = Effect.runSync(Deferred.make())
  await serving(failing(received), async ({ port }) => {
    const client = await open(port)
    client.send("GET / HTTP/1.0\r\n\r\n")
    await client.receive(/part/)
    Effect.runSync(Deferred.succeed(received, undefined))
    await client.closed()
    equal(client.error?.code, "ECONNRESET")
    equal(client.isEnded, false)
  })
})

check("a client that resets interrupts its handler", async () => {
  const [started, interrupted] = [Effect.runSync(Deferred.make()), Effect.runSync(Deferred.make())]
  await serving(
    () =>
      Effect.zipRight(Deferred.succeed(started, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      ),
    async ({ port }) => {
      const client = await open(port)
      client.send(get("/"))
      await Effect.runPromise(Deferred.await(started))
      if (typeof client.socket.resetAndDestroy === "function") client.socket.resetAndDestroy()
      else client.socket.destroy()
      await Effect.runPromise(Deferred.await(interrupted))
    },
    { onClientEnd: "interrupt" }
  )
})

check("close completes requests in flight", async () => {
  const [started, proceed] = [Effect.runSync(Deferred.make()), Effect.runSync(Deferred.make())]
  await serving(
    (request) =>
      Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(proceed)).pipe(
        Effect.zipRight(Response.respond(request, 200, "completed"))
      ),
    async ({ port, server }) => {
      const client = await open(port)
      client.send(get("/"))
      await Effect.runPromise(Deferred.await(started))
      const closing = Effect.runFork(server.close)
      await Effect.runPromise(Effect.yieldNow())
      Effect.runSync(Deferred.succeed(proceed, undefined))
      match(await client.ended(), /connection: close[\s\S]*completed$/i)
      client.socket.destroy()
      const report = await Effect.runPromise(Fiber.join(closing))
      equal(report.drained, 1)
    },
    { drainTimeout: "5 seconds" }
  )
})

check("an upgrade to another protocol", () =>
  serving(
    (request) =>
      Response.upgrade(request, { Upgrade: "echo" }, ({ stream, write }) => Stream.runForEach(stream, write)),
    async ({ port }) => {
      const client = await open(port)
      client.send(get("/", "Connection: Upgrade", "Upgrade: echo"))
      await client.receive(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\n/)
      client.send("ping")
      await client.receive(/\r\n\r\nping$/)
      client.socket.destroy()
    }
  )
)

const socketPath = () => join(process.env.SMOKE_FOLDER, `${Math.random().toString(36).slice(2)}.sock`)

check("a Unix domain socket: requests, the mode of its file, and its removal", async () => {
  const path = socketPath()
  await serving(
    echo,
    async () => {
      equal(existsSync(path), true)
      match(await exchange(path, lastGet("/unix")), /\r\n\r\n\/unix $/)
    },
    { path, mode: 0o600 }
  )
  equal(existsSync(path), false)
})

check("a Unix domain socket: a slow reader", () => {
  const path = socketPath()
  return serving(large, async () => receivesAll(await open(path)), { path, limits: slowLimits })
})

check("a Unix domain socket: a failed response closes the connection", async () => {
  const received = Effect.runSync(Deferred.make())
  const path = socketPath()
  await serving(
    failing(received),
    async ({ server }) => {
      const client = await open(path)
      client.send("GET / HTTP/1.0\r\n\r\n")
      await client.receive(/part/)
      Effect.runSync(Deferred.succeed(received, undefined))
      await client.ended()
      client.socket.destroy()
      await released(server)
    },
    { path }
  )
})

/** Waits until the listening socket is the only descriptor. */
export const released = (server) =>
  Effect.runPromise(Stream.runDrain(Stream.takeUntil(server.budget.changes, ({ held }) => held === 1)))

check("an abstract Unix domain socket", () => {
  const path = `\0effect-asynchttpserver-${process.pid}`
  return serving(echo, async () => match(await exchange(path, lastGet("/abstract")), /\r\n\r\n\/abstract $/), { path })
})

check("descriptors are released", () =>
  serving(echo, async ({ port, server }) => {
    await Promise.all(Array.from({ length: 20 }, () => exchange(port, lastGet("/"))))
    await released(server)
  })
)
