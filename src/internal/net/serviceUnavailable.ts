/**
 * The response to a client for whose connection there is no descriptor, or no server any more: it may try again.
 *
 * @internal
 */
import { wallNow } from "../host/hostTimers.js"
import { formatDate } from "../http1/date.js"

/** The listener has no `Clock`: `Date` is the wall clock's. */
export const serviceUnavailable = (): string =>
  `HTTP/1.1 503 Service Unavailable\r\nDate: ${formatDate(wallNow())}\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n`
