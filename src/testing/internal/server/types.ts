/** The types of a test server, below the modules that make one. `TestServer` exports them, with their documentation. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Address, TcpAddress } from "../../../Address.js"
import type { OSError } from "../../../Errors.js"
import type * as Server from "../../../Server.js"
import type { Matcher, Times } from "../../Expectation.js"
import type { HandlerFailure } from "../../Failures.js"
import type { RawClient } from "../../RawClient.js"
import type { RecordedRequest } from "../../RecordedRequest.js"
import type { Queue } from "./replyQueue.js"

export interface Options extends Omit<Server.Options, "additional" | "fd" | "mode" | "path" | "tls"> {
  /** Maximum number of descriptors it may hold; 1024 by default. */
  readonly descriptors?: number | undefined
}

export interface ConnectionInfo {
  /** Index among the connections of the server, from 0 in the order of acceptance. */
  readonly index: number
  /** `new`: no request received yet; `active`: a handler is running; `idle`: kept alive for the next request. */
  readonly state: "new" | "active" | "idle"
  /** Requests received on it. */
  readonly requests: number
  readonly remote: Option.Option<Address>
}

export interface TestServer {
  /** `http://127.0.0.1:` and the port, without a trailing slash. In memory only `client` and `connect` reach it. */
  readonly url: string
  readonly address: TcpAddress
  /**
   * Client that resolves relative URLs against the server. It connects to this server whatever the host of a URL. It
   * keeps connections alive, and closes them with the server.
   */
  readonly client: HttpClient.HttpClient
  /** Every request, as it is received. */
  readonly requests: Stream.Stream<RecordedRequest>
  /** The requests received so far. */
  readonly received: Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** Takes the next request, waiting for it. */
  readonly takeRequest: Effect.Effect<RecordedRequest>
  /** Takes the next request that satisfies the predicate. */
  readonly takeRequestWhere: (predicate: (request: RecordedRequest) => boolean) => Effect.Effect<RecordedRequest>
  /** Opens a raw connection, destroyed with the scope. */
  readonly connect: Effect.Effect<RawClient, OSError, Scope.Scope>
  /** The open connections. */
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo>>
  /** Destroys every connection, and continues to listen. */
  readonly closeClientConnections: Effect.Effect<void>
  /** Stops listening, and closes every connection: new connections are refused. */
  readonly down: Effect.Effect<void>
  /** Completes when the server begins to close. */
  readonly awaitShutdown: Effect.Effect<void>
  /** Listens again, on the same port. */
  readonly up: Effect.Effect<void, OSError>
  /** Expects matching requests until the caller's scope closes, exactly one by default. */
  readonly expect: (matcher: Matcher, times?: Times) => Effect.Effect<void, never, Scope.Scope>
  /** Responds to the next requests with these replies, one each. */
  readonly enqueue: Queue["enqueue"]
  /** See `Fault.closeAtAccept` and `Fault.resetAtAccept`. */
  readonly endAtAccept: (how: "close" | "reset", times?: number) => Effect.Effect<void>
  readonly takeFailure: Effect.Effect<HandlerFailure>
  readonly supervise: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly settle: Effect.Effect<void>
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>
  readonly assertNoLeaks: Effect.Effect<void>
}

export interface StartedServer extends AsyncDisposable {
  /** `http://127.0.0.1:` and the port, without a trailing slash. */
  readonly url: string
  readonly address: TcpAddress
  /** The requests received so far. */
  readonly requests: () => ReadonlyArray<StartedRequest>
  /** Takes the next request, once it is received; rejects if the server is closed before. */
  readonly takeRequest: () => Promise<StartedRequest>
  /**
   * Closes the server. Rejects with the error of a failed handler, as it was thrown, or with a `LeakError`; a second call
   * does nothing. Disposing of the server is equivalent, but if the block of an `await using` fails too, JavaScript throws
   * a `SuppressedError` with both, which few test runners show in full: prefer `afterEach(() => server.close())`.
   */
  readonly close: () => Promise<void>
}

export type StartedRequest = {
  readonly [K in keyof Omit<RecordedRequest, keyof Inspectable.Inspectable>]: RecordedRequest[K] extends Effect.Effect<
    infer A,
    infer _
  >
    ? () => Promise<A>
    : RecordedRequest[K]
}
