/** The exact types of the server's functions. Compiled, never run. */
// What must not compile is reported by the language service too.
// @effect-diagnostics missingEffectContext:off missingEffectError:off floatingEffect:off
import type * as Cause from "effect/Cause"
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Address, TcpAddress, UnixAddress } from "../../src/Address.js"
import type { DescriptorBudget } from "../../src/DescriptorBudget.js"
import type { KeyError, OSError, RespondableError, SslError, ValueError } from "../../src/Errors.js"
import type { Listener } from "../../src/Listener.js"
import type { Request } from "../../src/Request.js"
import type { RequestParser } from "../../src/RequestParser.js"
import { type Handler, respond } from "../../src/Response.js"
import type { ResponseWriter } from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import { equals } from "./equals.js"

class Users extends Context.Tag("Users")<Users, { readonly count: number }>() {}
class Reports extends Context.Tag("Reports")<Reports, { readonly send: Effect.Effect<void> }>() {}

type Rooms = Listener | RequestParser | ResponseWriter | DescriptorBudget

/** A handler that needs a service and the scope of its request. */
const scoped = (request: Request) =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer(() => Effect.void)
    const { count } = yield* Users
    return yield* respond(request, 200, String(count))
  })

const plain: Handler = (request) => respond(request, 200)
const failing = () => Effect.fail("mine" as const)
const reporting = { onFailure: () => Effect.flatMap(Reports, ({ send }) => send) }

export const making = (port: Config.Config<number>): void => {
  const made = Server.make({ port: 0 })
  equals<typeof made, Effect.Effect<Server.Server, never, Scope.Scope | Rooms>>()
  const layer = Server.layer()
  equals<typeof layer, Layer.Layer<Server.Server>>()
  const open = Server.layerWithoutDependencies()
  equals<typeof open, Layer.Layer<Server.Server, never, Rooms>>()
  const configured = Server.layerConfig({ port })
  equals<typeof configured, Layer.Layer<Server.Server, ConfigError.ConfigError>>()

  const serving = Server.layerServe(plain, { port: 0 })
  equals<typeof serving, Layer.Layer<never, Server.ListenError, Server.Server>>()
  const servingScoped = Server.layerServe(scoped)
  equals<typeof servingScoped, Layer.Layer<never, Server.ListenError, Server.Server | Users>>()
  const servingFailing = Server.layerServe(failing, reporting)
  equals<typeof servingFailing, Layer.Layer<never, Server.ListenError, Server.Server | Reports>>()

  // @ts-expect-error: an error of the handler requires `onFailure`
  Server.layerServe(failing)
  // @ts-expect-error: there is no such option
  Server.layer({ prot: 8080 })
  // @ts-expect-error: nor one of another type
  Server.layer({ reuseAddr: 1 })
  // @ts-expect-error: the two domains are words
  Server.layer({ domain: "AF_INET" })
  Server.layer({ trustedProxies: ["loopback"], forwardedHeader: "forwarded", proxyProtocol: { trusted: ["private"] } })
  // @ts-expect-error: the networks are a list
  Server.layer({ trustedProxies: "loopback" })
  // @ts-expect-error: the header is of one kind
  Server.layer({ forwardedHeader: "both" })
  // @ts-expect-error: no peer is trusted unless it is named
  Server.layer({ proxyProtocol: {} })
}

export const ofTheService = (server: Server.Server): void => {
  const address = server.listen({ port: 0 })
  equals<typeof address, Effect.Effect<TcpAddress, OSError | ValueError | SslError>>()
  const atPath = server.listen({ path: "/run/server.sock" })
  equals<typeof atPath, Effect.Effect<UnixAddress, Server.ListenError>>()
  const asConfigured = server.listen()
  equals<typeof asConfigured, Effect.Effect<Address, Server.ListenError>>()
  equals<typeof server.reloadTls, Effect.Effect<void, OSError | SslError>>()
  equals<typeof server.port, Effect.Effect<number, OSError>>()
  equals<typeof server.address, Effect.Effect<Address, OSError>>()
  const should = server.shouldAcceptRequest()
  equals<typeof should, Effect.Effect<boolean>>()
  equals<typeof server.close, Effect.Effect<Server.CloseReport>>()

  // Scope is taken out of R, in every one of them.
  const served = server.serve(scoped)
  equals<typeof served, Effect.Effect<never, Server.ListenError, Users>>()
  const servedPlain = server.serve(plain, { port: 8080 })
  equals<typeof servedPlain, Effect.Effect<never, Server.ListenError>>()
  const servedReporting = server.serve(scoped, reporting)
  equals<typeof servedReporting, Effect.Effect<never, Server.ListenError, Users | Reports>>()
  const servedFailing = server.serve(failing, { ...reporting, port: 8080 })
  equals<typeof servedFailing, Effect.Effect<never, Server.ListenError, Reports>>()

  const accepted = server.acceptRequest(scoped)
  equals<typeof accepted, Effect.Effect<Fiber.RuntimeFiber<Server.ConnectionSummary>, OSError, Users>>()
  const acceptedFailing = server.acceptRequest(failing, reporting)
  equals<typeof acceptedFailing, Effect.Effect<Fiber.RuntimeFiber<Server.ConnectionSummary>, OSError, Reports>>()
}

export const ofTheModule = (): void => {
  const address = Server.listen()
  equals<typeof address, Effect.Effect<Address, Server.ListenError, Server.Server>>()
  equals<typeof Server.port, Effect.Effect<number, OSError, Server.Server>>()
  equals<typeof Server.address, Effect.Effect<Address, OSError, Server.Server>>()
  const should = Server.shouldAcceptRequest(5)
  equals<typeof should, Effect.Effect<boolean, never, Server.Server>>()
  equals<typeof Server.close, Effect.Effect<Server.CloseReport, never, Server.Server>>()

  const served = Server.serve(scoped)
  equals<typeof served, Effect.Effect<never, Server.ListenError, Server.Server | Users>>()
  const servedReporting = Server.serve(failing, reporting)
  equals<typeof servedReporting, Effect.Effect<never, Server.ListenError, Server.Server | Reports>>()
  const accepted = Server.acceptRequest(scoped)
  equals<typeof accepted, Effect.Effect<Fiber.RuntimeFiber<Server.ConnectionSummary>, OSError, Server.Server | Users>>()
}

export const whatOnFailureSees = (server: Server.Server): ReadonlyArray<unknown> => [
  server.serve(failing, {
    onFailure: (cause, request) => {
      equals<typeof request, Request>()
      equals<typeof cause, Cause.Cause<"mine">>()
      return Effect.void
    }
  }),
  // @ts-expect-error: a service that is not provided is still required
  Effect.runFork(server.serve(scoped)),
  // @ts-expect-error: so is one that only onFailure needs
  Effect.runFork(server.serve(failing, reporting)),
  Effect.runFork(server.serve(plain))
]

export const ends = (end: Server.ConnectionSummary): string => {
  // Every reason has a branch: an added one must be handled by every exhaustive match.
  switch (end.reason) {
    case "ClosedByClient":
    case "ClosedByServer":
    case "BadRequest":
    case "TimedOut":
    case "ClientAborted":
    case "ResponseFailed":
    case "Upgraded":
    case "Interrupted":
      return end.reason
    default:
      return end.reason satisfies never
  }
}

export const responded = (): void => {
  equals<RespondableError, ValueError | KeyError>()
}
