/**
 * The head of a request as bytes, as Node's client writes it: what the application says, then `Host`, `Connection` and the
 * framing, each unless it has been said.
 *
 * @internal
 */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"

/** How many bytes a body has; a stream may not know it. */
export type Length = number | "Chunked"

/** Methods of which a request without a body says nothing of its length. */
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"])

/** What no field may have in it: anything else would be another field, or another character. */
const forbidden = /[^\t\x20-\x7e\x80-\xff]/

const basic = ({ password, username }: URL): string =>
  `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64")}`

const framed = (method: string, length: Length): string => {
  if (length === "Chunked") return "Transfer-Encoding: chunked\r\n"
  return length === 0 && bodiless.has(method) ? "" : `Content-Length: ${length}\r\n`
}

/** The name of the first header that cannot be sent. */
export const unsendable = (headers: Readonly<Record<string, string>>): string | undefined =>
  Object.keys(headers).find(
    (name) => forbidden.test(String(headers[name])) || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)
  )

export const headOf = (
  { method }: HttpClientRequest.HttpClientRequest,
  headers: Readonly<Record<string, string>>,
  url: URL,
  length: Length
): string => {
  let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\n`
  for (const name of Object.keys(headers)) head += `${name}: ${headers[name]}\r\n`
  if (url.username !== "" && headers.authorization === undefined) head += `Authorization: ${basic(url)}\r\n`
  if (headers.host === undefined) head += `Host: ${url.host}\r\n`
  if (headers.connection === undefined) head += "Connection: keep-alive\r\n"
  const isFramed = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined
  return `${head}${isFramed ? "" : framed(method, length)}\r\n`
}
