/**
 * Validation of the client's part of a WebSocket handshake (RFC 6455 §4.2.1).
 *
 * `ws` validates only some of it, and accepts HTTP/1.0, a body and several protocols. Everything is validated here, before
 * anything is written, so that the application can still send another response.
 */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { Request } from "../../Request.js"
import { splitList } from "../fields/fieldList.js"
import type { HandshakeRejection } from "./failures.js"

/** RFC 6455, and the last draft before it, which differs in the name of one field that is not used here. */
const versions = ["13", "8"]

/** 16 bytes in base64. */
const key = /^[+/0-9A-Za-z]{22}==$/

type Headers = HttpServerRequest["headers"]

const lists = (headers: Headers, name: string, member: string): boolean =>
  splitList((headers[name] ?? "").toLowerCase()).includes(member)

const reject = (
  description: string,
  status = 400,
  headers: Readonly<Record<string, string>> = {}
): HandshakeRejection => ({
  description,
  status,
  headers
})

const hasBody = (headers: Headers): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? "0") > 0

const validateVersion = (headers: Headers): HandshakeRejection | undefined => {
  const version = headers["sec-websocket-version"]
  if (version !== undefined && versions.includes(version)) return undefined
  const supported = { "sec-websocket-version": versions.join(", ") }
  // Several values, or none, are not an unsupported version, but an invalid field.
  if (version === undefined || version.includes(","))
    return reject("Sec-WebSocket-Version is missing or repeated", 400, supported)
  return reject("this version of the WebSocket protocol is not supported", 426, {
    ...supported,
    upgrade: "websocket"
  })
}

/** The error response to an invalid handshake, or `undefined` if it is valid. */
export const validateHandshake = (
  { version }: Request,
  { headers, method }: HttpServerRequest
): HandshakeRejection | undefined => {
  if (!lists(headers, "connection", "upgrade") || !lists(headers, "upgrade", "websocket"))
    return reject("not an upgradeable ServerRequest")
  if (version.minor === 0) return reject("a WebSocket handshake requires HTTP/1.1")
  if (method !== "GET") return reject("a WebSocket handshake requires GET", 405, { allow: "GET" })
  if (hasBody(headers)) return reject("a WebSocket handshake must not have a body")
  if (!key.test(headers["sec-websocket-key"] ?? "")) return reject("Sec-WebSocket-Key is not 16 bytes in base64")
  return validateVersion(headers)
}

/** The fields for `ws`, which accepts no list of protocols: the chosen one. */
export const handshakeFields = (headers: Headers): Record<string, string> => ({ ...headers, upgrade: "websocket" })
