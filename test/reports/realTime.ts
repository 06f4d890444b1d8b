/**
 * What must continue in real time, whatever a test runner has done to the timers of the process meanwhile.
 *
 * Each scenario starts a server, calls `install`, which replaces the timers, and then waits for something that takes
 * time. They reach sockets by `node:net` alone, and wait for events of sockets: no timer of theirs is needed.
 */
import { strictEqual } from "node:assert"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { MessageChannel } from "node:worker_threads"
import { HttpClient, HttpServerRequest, HttpServerResponse, HttpServer as Platform } from "@effect/platform"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { Errors, Listener, Response, Server } from "effect-asynchttpserver"
import * as HttpServer from "effect-asynchttpserver/HttpServer"
import * as TcpListener from "effect-asynchttpserver/TcpListener"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

export interface Scenario {
  readonly title: string
  readonly run: (install: () => void) => Promise<void>
  /** Whether it needs no socket, and so not the `process.nextTick` that Node's own streams call. */
  readonly isInMemory?: true
}

/** A turn of the event loop, by what no test runner replaces. */
const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.once("message", () => {
      port1.close()
      resolve()
    })
    port2.postMessage(undefined)
  })

const opened = async (port: number, allowHalfOpen = false): Promise<Socket> => {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen })
  await once(socket, "connect")
  return socket.on("error", () => {})
}

/** All that a socket receives until the server has ended the connection. */
const received = async (socket: Socket): Promise<string> => {
  let text = ""
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1")
  })
  await once(socket, "end")
  return text
}

const quiet = Logger.remove(Logger.defaultLogger)

/** Builds a layer, and gives its service with the end of its scope. */
const built = async <I, S>(tag: Context.Tag<I, S>, layer: Layer.Layer<I, unknown>) => {
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  return { service: Context.get(context, tag), end: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const serving = async (options: Server.Options, handler: Response.Handler) => {
  const { end, service: server } = await built(Server.Server, Server.layer({ address: "127.0.0.1", ...options }))
  const { port } = await Effect.runPromise(server.listen({ port: 0 }))
  Effect.runFork(Effect.provide(server.serve(handler), quiet))
  return { server, port, end }
}

const hello: Response.Handler = (request) => Response.respond(request, 200, "hello")

/** More than the turns after which a fiber that never waits lets timers and sockets have theirs. */
const many = 3000

export const scenarios: ReadonlyArray<Scenario> = [
  {
    title: "thousands of bodies are read and get responses, and close() settles",
    run: async (install) => {
      const { end, port, server } = await serving({}, (request) =>
        Effect.flatMap(request.text, (text) => Response.respond(request, 200, text))
      )
      install()
      const socket = await opened(port)
      let seen = 0
      for (let count = 0; count < many; count++) {
        // The body in a separate packet: the handler waits for it.
        socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        socket.write("abc")
        const [bytes] = await once(socket, "data")
        if (bytes.toString("latin1").endsWith("\r\n\r\nabc")) seen++
      }
      strictEqual(seen, many)
      const report = await Effect.runPromise(server.close)
      strictEqual(report.idle, 1)
      await end()
    }
  },
  {
    title: "the scope of a server ends, though a client keeps its connection",
    run: async (install) => {
      const { end, port } = await serving({}, hello)
      install()
      const socket = await opened(port)
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      await once(socket, "data")
      await Promise.all([once(socket.resume(), "end"), end()])
    }
  },
  {
    title: "an idle connection is closed after keepAliveTimeout",
    run: async (install) => {
      const { end, port } = await serving({ limits: { keepAliveTimeout: 50, headerTimeout: 50 } }, hello)
      install()
      strictEqual(await received(await opened(port)), "")
      await end()
    }
  },
  {
    title: "a head that does not end gets 408 after headerTimeout",
    run: async (install) => {
      const { end, port } = await serving({ limits: { headerTimeout: 50 } }, hello)
      install()
      const socket = await opened(port)
      socket.write("GET / HTTP/1.1\r\n")
      strictEqual((await received(socket)).slice(0, 12), "HTTP/1.1 408")
      await end()
    }
  },
  {
    title: "a client that never closes its side is left after lingerTotalTimeout",
    run: async (install) => {
      const { end, port } = await serving({ limits: { lingerTotalTimeout: 50, maxDiscardedBody: 1 } }, hello)
      install()
      const socket = await opened(port, true)
      socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
      await received(socket)
      // A reset follows whatever it sends after that.
      while (!socket.destroyed) {
        socket.write("x")
        await nextTurn()
      }
      await end()
    }
  },
  {
    title: "a handler that does not end is interrupted after drainTimeout",
    run: async (install) => {
      let isHandling = false
      const { end, port, server } = await serving({ drainTimeout: 50 }, () => {
        isHandling = true
        return Effect.never
      })
      install()
      const socket = await opened(port)
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      socket.resume()
      while (!isHandling) await nextTurn()
      const report = await Effect.runPromise(server.close)
      strictEqual(report.interrupted, 1)
      await end()
    }
  },
  {
    title: "a listener that is short of descriptors is asked again",
    run: async (install) => {
      let asked = 0
      const failing = Layer.map(TcpListener.layer, (context) => {
        const { listen } = Context.get(context, Listener.Listener)
        return Context.make(Listener.Listener, {
          listen: (options) =>
            Effect.map(listen(options), (bound) => ({
              ...bound,
              acceptWhile: (isOpen, take) =>
                Effect.suspend(() =>
                  asked++ < 3
                    ? Effect.fail(new Errors.OSError({ code: "EMFILE", syscall: "accept" }))
                    : bound.acceptWhile(isOpen, take)
                )
            }))
        })
      })
      const { end, service: server } = await built(
        Server.Server,
        Server.layerWithoutDependencies({ address: "127.0.0.1" }).pipe(
          Layer.provide(failing),
          Layer.provide(Server.layerDependencies)
        )
      )
      const { port } = await Effect.runPromise(server.listen({ port: 0 }))
      install()
      Effect.runFork(Effect.provide(server.serve(hello), quiet))
      const socket = await opened(port)
      socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      strictEqual((await received(socket)).slice(0, 12), "HTTP/1.1 200")
      await end()
    }
  },
  {
    title: "a test server over loopback responds to its client, settles and closes",
    run: async (install) => {
      const { end, service } = await built(TestServer.TestServer, TestServer.layer(Reply.text("kit")))
      install()
      const response = Effect.flatMap(service.client.get("/"), (response) => response.text)
      strictEqual(await Effect.runPromise(response), "kit")
      await Effect.runPromise(service.settle)
      await end()
    }
  },
  {
    title: "a test server that was started by a promise responds to fetch, and closes",
    run: async (install) => {
      const server = await TestServer.start(Reply.text("kit"))
      install()
      const response = await fetch(server.url)
      strictEqual(await response.text(), "kit")
      await server.close()
    }
  },
  {
    title: "a test server in memory responds to its client, settles and closes",
    isInMemory: true,
    run: async (install) => {
      const { end, service } = await built(TestServer.TestServer, TestServer.layerMemory(Reply.text("kit")))
      install()
      for (let count = 0; count < 100; count++) {
        const response = Effect.flatMap(service.client.get("/"), (response) => response.text)
        strictEqual(await Effect.runPromise(response), "kit")
      }
      await Effect.runPromise(service.settle)
      await end()
    }
  },
  {
    title: "an application of @effect/platform responds, and its scope ends",
    run: async (install) => {
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) =>
        Effect.map(text, (body) => HttpServerResponse.text(body))
      )
      const scope = Effect.runSync(Scope.make())
      const context = await Effect.runPromise(Layer.buildWithScope(HttpServer.layerTest, scope))
      await Effect.runPromise(
        Effect.provide(
          Scope.extend(
            Effect.flatMap(Platform.HttpServer, (server) => server.serve(app)),
            scope
          ),
          context
        )
      )
      install()
      const client = Context.get(context, HttpClient.HttpClient)
      const response = Effect.flatMap(client.get("/"), (response) => response.text)
      strictEqual(await Effect.runPromise(response), "")
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
]
