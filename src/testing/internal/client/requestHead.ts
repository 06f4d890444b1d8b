/**
 * The head of a request, as Node's client writes it: the application's fields, then `Host`, `Connection` and the framing,
 * each unless the application has set it.
 */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"

/** The length of a body, or how a stream of unknown length is framed. */
export type Length = number | "Chunked"

/** Methods whose requests have no `Content-Length` if they have no body. */
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"])

/** Characters that are invalid in a field value: they would begin another field, or be encoded differently. */
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
