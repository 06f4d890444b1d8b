/**
 * The asynchronous context (`AsyncLocalStorage`) that a handler starts in: its connection's, and its own from then on.
 *
 * What a handler enters by `enterWith` lasts until its event is over (from Node 24 on), or as long as the resource of the
 * event, which is the socket (before); so without a resource of its own it would reach the requests after it. And what
 * makes a connection go on may happen in the context of a handler: its end, or the drain of what it has written.
 *
 * An `AsyncResource` a request costs about 0.05 µs, on Node 20 and 24; a call of `AsyncLocalStorage.snapshot` ten times that.
 *
 * @internal
 */
import { AsyncResource } from "node:async_hooks"

/** For the start of one handler. To be made in the context of its connection. */
export const requestContext = (): AsyncResource => new AsyncResource("HTTPSERVERREQUEST")

/** For what a connection goes on with, whatever has made it go on. To be made in its context. */
export const connectionContext = (): AsyncResource => new AsyncResource("HTTPSERVERCONNECTION")
