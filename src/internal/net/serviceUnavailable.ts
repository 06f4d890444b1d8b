/** The 503 response to a connection that is rejected: the budget is exhausted, or the listener has closed. */
import { wallNow } from "../host/hostTimers.js"
import { formatDate } from "../http1/date.js"

/** The text of the response. The listener has no Effect `Clock`: `Date` is from the wall clock. */
export const serviceUnavailable = (): string =>
  `HTTP/1.1 503 Service Unavailable\r\nDate: ${formatDate(wallNow())}\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n`
