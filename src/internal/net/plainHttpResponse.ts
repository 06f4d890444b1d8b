/** The 400 response to plain HTTP on a port of TLS. */
import { wallNow } from "../host/hostTimers.js"
import { formatDate } from "../http1/date.js"

const content = "This port requires TLS: use https.\n"

/** The text of the response. The listener has no Effect `Clock`: `Date` is from the wall clock. */
export const plainHttpResponse = (): string =>
  `HTTP/1.1 400 Bad Request\r\nDate: ${formatDate(wallNow())}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${content.length}\r\n\r\n${content}`
