/**
 * Semantics of a response head: the framing of the content, and the persistence of the connection (RFC 9112 §6.3, §9.3).
 *
 * Stricter than RFC 9112 requires of a client: whatever a server must not send is an error, even if a client may ignore it.
 */
import type { FieldCheck, Fields } from "./fieldSection.js"
import { isToken, listMembers } from "./grammar.js"
import { type ParseError, parseError } from "./parseError.js"

/** The part of a request that affects the interpretation of its response. */
export interface RequestContext {
  readonly method: string
  /** The request's `Upgrade` field. */
  readonly upgrade: string | undefined
}

/** The head of a final response, or of `101`. */
export interface ResponseHead {
  readonly _tag: "Head"
  readonly status: number
  readonly headers: Fields
  readonly setCookies: ReadonlyArray<string>
  /** Whether another request may follow on the connection. */
  readonly keepAlive: boolean
}

/** A status line and its header section. */
interface RawHead {
  readonly status: number
  /** The minor version: HTTP/1.0 or HTTP/1.1. */
  readonly minor: number
  readonly fields: Fields
}

/** How the content after a head is delimited. `Interim`: another head follows. */
export type BodyFraming = "Interim" | "None" | "Chunked" | "UntilClose" | number

const contentLength = "content-length"

const transferEncoding = "transfer-encoding"

const invalidLength = (reason: string, value: string): ParseError =>
  parseError("HPE_INVALID_CONTENT_LENGTH", reason, `Content-Length: ${value}`)

const invalidCoding = (reason: string, value: string): ParseError =>
  parseError("HPE_INVALID_TRANSFER_ENCODING", reason, `Transfer-Encoding: ${value}`)

const checkLength = (value: string, before: Fields): ParseError | undefined => {
  if (before[contentLength] !== undefined) {
    return parseError("HPE_UNEXPECTED_CONTENT_LENGTH", "Duplicate Content-Length", `Content-Length: ${value}`)
  }
  if (before[transferEncoding] !== undefined) return invalidLength("Content-Length with Transfer-Encoding", value)
  return /^[0-9]+$/.test(value) && Number.isSafeInteger(Number(value))
    ? undefined
    : invalidLength("Invalid Content-Length", value)
}

/** The kit's client offers no coding by `TE`, so a server may use none but chunked (RFC 9112 §7.4). */
const checkCoding = (value: string, before: Fields): ParseError | undefined => {
  if (before[contentLength] !== undefined) return invalidCoding("Transfer-Encoding with Content-Length", value)
  return before[transferEncoding] === undefined && value.toLowerCase() === "chunked"
    ? undefined
    : invalidCoding("Not chunked, once", value)
}

const checkConnection = (value: string): ParseError | undefined =>
  listMembers(value).every(isToken)
    ? undefined
    : parseError("HPE_INVALID_HEADER_TOKEN", "Invalid list of connection options", `Connection: ${value}`)

export const checkHeader: FieldCheck = (name, value, before) => {
  switch (name) {
    case contentLength:
      return checkLength(value, before)
    case transferEncoding:
      return checkCoding(value, before)
    case "connection":
      return checkConnection(value)
    default:
      return undefined
  }
}

/** Responses that end with their head, or are followed by another protocol, have no framing (RFC 9110 §8.6, RFC 9112 §6.1). */
const checkUnframed = (fields: Fields, status: number): ParseError | undefined => {
  const length = fields[contentLength]
  if (length !== undefined) {
    return parseError("HPE_UNEXPECTED_CONTENT_LENGTH", `Content-Length in a ${status}`, `Content-Length: ${length}`)
  }
  const coding = fields[transferEncoding]
  return coding === undefined ? undefined : invalidCoding(`Transfer-Encoding in a ${status}`, coding)
}

/** A server switches only to a protocol that the request offers (RFC 9110 §7.8). */
const checkSwitch = ({ connection, upgrade }: Fields, request: RequestContext): ParseError | undefined => {
  const offered = listMembers(request.upgrade)
  const chosen = listMembers(upgrade)
  const isOffered = chosen.length > 0 && chosen.every((protocol) => offered.includes(protocol))
  return isOffered && listMembers(connection).includes("upgrade")
    ? undefined
    : parseError("HPE_INVALID_STATUS", "101 without an offered protocol", `Upgrade: ${upgrade ?? ""}`)
}

const interimFraming = (head: RawHead, request: RequestContext): BodyFraming | ParseError => {
  const { fields, status } = head
  if (status === 101) return checkSwitch(fields, request) ?? "UntilClose"
  // Node's parser treats what follows as data after the last response.
  return listMembers(fields.connection).includes("close")
    ? parseError("HPE_CLOSED_CONNECTION", `Connection: close in a ${status}`, `Connection: ${fields.connection}`)
    : "Interim"
}

/** The rules of RFC 9112 §6.3, in their order. */
export const bodyFraming = (head: RawHead, request: RequestContext): BodyFraming | ParseError => {
  const { fields, minor, status } = head
  const isTunnel = request.method === "CONNECT" && status >= 200 && status < 300
  if (status < 200 || status === 204 || isTunnel) {
    const error = checkUnframed(fields, status)
    if (error !== undefined) return error
  }
  if (status < 200) return interimFraming(head, request)
  const coding = fields[transferEncoding]
  // An HTTP/1.0 message with Transfer-Encoding has faulty framing (RFC 9112 §6.1).
  if (coding !== undefined && minor === 0) return invalidCoding("Transfer-Encoding in HTTP/1.0", coding)
  if (request.method === "HEAD" || status === 204 || status === 304) return "None"
  if (isTunnel) return "UntilClose"
  if (coding !== undefined) return "Chunked"
  const length = fields[contentLength]
  if (status === 205 && length !== undefined && Number(length) > 0) {
    return parseError("HPE_UNEXPECTED_CONTENT_LENGTH", "Content in a 205", `Content-Length: ${length}`)
  }
  return length === undefined ? "UntilClose" : Number(length)
}

/** Whether the connection may be used for another request (RFC 9112 §9.3). */
export const persists = ({ fields, minor }: RawHead, framing: BodyFraming): boolean => {
  if (framing === "UntilClose") return false
  const options = listMembers(fields.connection)
  return !options.includes("close") && (minor > 0 || options.includes("keep-alive"))
}
