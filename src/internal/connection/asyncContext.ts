/**
 * Asynchronous contexts (`AsyncLocalStorage`) of connections and handlers: a handler starts in its connection's context,
 * and has its own from then on.
 *
 * The value of `enterWith` lasts until the end of the event (from Node 24 on), or as long as the event's resource, which is
 * the socket (before); without a resource per handler it would leak into the next requests. And an event in a handler's
 * context may resume the connection: the end of the handler, or `drain` after its write.
 *
 * An `AsyncResource` per request costs about 0.05 µs on Node 20 and 24; `AsyncLocalStorage.snapshot` ten times that.
 */
import { AsyncResource } from "node:async_hooks"

/** The resource whose context one handler runs in. Must be made in the context of its connection. */
export const requestResource = (): AsyncResource => new AsyncResource("HTTPSERVERREQUEST")

/** The resource in whose context a connection continues after any event. Must be made in the context of the connection. */
export const connectionResource = (): AsyncResource => new AsyncResource("HTTPSERVERCONNECTION")
