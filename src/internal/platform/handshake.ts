/**
 * The client's part of a WebSocket handshake (RFC 6455 §4.2.1): what is wrong with it, and the response that says so.
 *
 * `ws` looks at some of it, and takes what it lets pass for a handshake: HTTP/1.0, a body, several protocols. All is looked at
 * here, before anything is written, so that the application can still send another response.
 *
 * @internal
 */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { Request } from "../../Request.js"
import { splitList } from "../fieldList.js"
import type { HandshakeRefusal } from "./failures.js"

/** RFC 6455, and the last draft before it, which differs in the name of one field that is not looked at. */
const versions = ["13", "8"]

/** 16 bytes in base64. */
const key = /^[+/0-9A-Za-z]{22}==$/

type Headers = HttpServerRequest["headers"]

const lists = (headers: Headers, name: string, wanted: string): boolean =>
  splitList((headers[name] ?? "").toLowerCase()).includes(wanted)

const refusal = (
  description: string,
  status = 400,
  headers: Readonly<Record<string, string>> = {}
): HandshakeRefusal => ({
  description,
  status,
  headers
})

const hasBody = (headers: Headers): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? "0") > 0

const refusalOfVersion = (headers: Headers): HandshakeRefusal | undefined => {
  const version = headers["sec-websocket-version"]
  if (version !== undefined && versions.includes(version)) return undefined
  const supported = { "sec-websocket-version": versions.join(", ") }
  // Several values, or none, are no version that another server might support.
  if (version === undefined || version.includes(","))
    return refusal("Sec-WebSocket-Version is missing or repeated", 400, supported)
  return refusal("this version of the WebSocket protocol is not supported", 426, {
    ...supported,
    upgrade: "websocket"
  })
}

/** Why a request opens no WebSocket; nothing if it does. */
export const refusalOf = (
  { version }: Request,
  { headers, method }: HttpServerRequest
): HandshakeRefusal | undefined => {
  if (!lists(headers, "connection", "upgrade") || !lists(headers, "upgrade", "websocket"))
    return refusal("not an upgradeable ServerRequest")
  if (version.minor === 0) return refusal("a WebSocket is opened by HTTP/1.1")
  if (method !== "GET") return refusal("a WebSocket is opened by GET", 405, { allow: "GET" })
  if (hasBody(headers)) return refusal("a request with a body opens no WebSocket")
  if (!key.test(headers["sec-websocket-key"] ?? "")) return refusal("Sec-WebSocket-Key is not 16 bytes in base64")
  return refusalOfVersion(headers)
}

/** The fields as `ws` takes them: of several protocols that are offered it is the one that is chosen. */
export const handshakeFields = (headers: Headers): Record<string, string> => ({ ...headers, upgrade: "websocket" })
