/**
 * Serialization of a response head: the status line, the fields, and exactly one framing.
 *
 * One pass validates and writes the fields of the handler, and collects those that framing and persistence depend on. An
 * invalid response is a value, returned before anything is sent. Text is latin1: one character per byte.
 *
 * `HeadWriter` keeps its last fields and its last head, since a server's next response is usually like its last one.
 */
import { phrase } from "../../HttpCode.js"
import type { HttpMethod } from "../../HttpMethod.js"
import type { ErrorReason } from "../errorReasons.js"
import { splitList, trimOws } from "../fields/fieldList.js"
import { HTAB, isToken, SP } from "./characters.js"

/** Framing of the content after a head. */
export type BodyFraming =
  | { readonly _tag: "None" }
  | { readonly _tag: "Length"; readonly length: number }
  | { readonly _tag: "Chunked" }
  | { readonly _tag: "UntilClose" }

/** The reason why a response is invalid. */
export interface InvalidResponse {
  readonly _tag: "InvalidResponse"
  readonly reason: ErrorReason
  readonly actual: string
}

/** Input of a head. */
export interface ResponseHeadInput {
  readonly status: number
  /** Alternating names and values. */
  readonly fields: ReadonlyArray<string>
  /** Length of the content, if known in advance. */
  readonly contentLength: number | undefined
  /** The method of the request: responses to HEAD have no content. */
  readonly method: HttpMethod
  /** The minor version of the request: HTTP/1.0 has neither chunks nor persistence by default. */
  readonly minor: number
  /** Whether the connection may persist after this response. */
  readonly keepAlive: boolean
  /** The value of `Keep-Alive` if the connection persists: its idle timeout. Omitted by default. */
  readonly keepAliveHint?: string | undefined
  /** The value of `Date`. */
  readonly date: string
}

/** A serialized head. */
export interface WrittenHead {
  readonly _tag: "Written"
  readonly text: string
  readonly framing: BodyFraming
  /** Whether the connection persists: not if either side closes it, or if the content ends with the connection. */
  readonly keepAlive: boolean
}

const noContent: BodyFraming = { _tag: "None" }
const chunked: BodyFraming = { _tag: "Chunked" }
const untilClose: BodyFraming = { _tag: "UntilClose" }

export const invalidResponse = (reason: ErrorReason, actual: string): InvalidResponse => ({
  _tag: "InvalidResponse",
  reason,
  actual
})

const isValue = (value: string): boolean => {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < SP && code !== HTAB) || code === 0x7f || code > 0xff) return false
  }
  return true
}

const isBlank = (code: number): boolean => code === SP || code === HTAB

/** A field line. White space around a value is not part of it, and is not sent (RFC 9110 §5.5). */
export const fieldLine = (name: string, value: string): string =>
  isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))
    ? `${name}: ${trimOws(value)}\r\n`
    : `${name}: ${value}\r\n`

/** The reason why a field is invalid, if it is: CR or LF would allow response splitting (RFC 9110 §5.5). */
export const invalidField = (name: string, value: string): InvalidResponse | undefined => {
  // For untyped callers: reported instead of being converted to a string.
  if (typeof name !== "string" || typeof value !== "string")
    return invalidResponse("HeaderValue", `${name}: ${typeof value}`)
  if (!isToken(name)) return invalidResponse("HeaderName", name)
  return isValue(value) ? undefined : invalidResponse("HeaderValue", `${name}: ${value}`)
}

/** Status lines by code, made on first use. */
const statusLines: Array<string> = []

/** The status line of a code; for a code without a phrase it ends with the space (RFC 9112 §4). */
const statusLine = (status: number): string =>
  (statusLines[status] ??= `HTTP/1.1 ${status} ${phrase(status) ?? ""}\r\n`)

/** Whether a response of this status has content (RFC 9110 §6.4.1; §15.3.6 for 205). */
const hasContent = (status: number): boolean => status >= 200 && status !== 204 && status !== 205 && status !== 304

/** The fields of the handler, with what they declare about the connection and the content. */
interface ParsedFields {
  text: string
  date: boolean
  close: boolean
  /** `keep-alive` is a member of `Connection`. */
  connectionKeepAlive: boolean
  /** The value of `Keep-Alive`, which is sent if the connection persists. */
  keepAliveField: string | undefined
  /** Members of `Connection` that are neither `close` nor `keep-alive` nor `upgrade`. */
  otherOptions: string
  /** `Connection` names a field: `upgrade` or one of `otherOptions`. The handler then decides about `Keep-Alive`. */
  namesFields: boolean
  /** `Upgrade` is present, or the option that names it: 426, or an offer of the server. */
  upgrade: boolean
  contentLength: string | undefined
}

const readConnection = (parsed: ParsedFields, value: string): void => {
  for (const option of splitList(value)) {
    const lower = option.toLowerCase()
    if (lower === "close") parsed.close = true
    else if (lower === "keep-alive") parsed.connectionKeepAlive = true
    else if (lower !== "") {
      parsed.namesFields = true
      if (lower === "upgrade") parsed.upgrade = true
      else parsed.otherOptions += `${parsed.otherOptions === "" ? "" : ", "}${option}`
    }
  }
}

/** Whether a field is taken, to be written from `parsed`, or is written as given. */
const readField = (parsed: ParsedFields, lower: string, value: string): "Taken" | "AsGiven" | InvalidResponse => {
  switch (lower) {
    case "date":
      if (parsed.date) return invalidResponse("HeaderValue", "Date: twice")
      parsed.date = true
      return "AsGiven"
    case "connection":
      readConnection(parsed, value)
      return "Taken"
    case "keep-alive":
      parsed.keepAliveField =
        parsed.keepAliveField === undefined ? trimOws(value) : `${parsed.keepAliveField}, ${trimOws(value)}`
      return "Taken"
    case "upgrade":
      if (value === "") return invalidResponse("HeaderValue", "Upgrade: no protocol")
      parsed.upgrade = true
      return "AsGiven"
    case "content-length":
      if (parsed.contentLength !== undefined || !/^[0-9]{1,15}$/.test(value)) {
        return invalidResponse("HeaderValue", `Content-Length: ${value}`)
      }
      parsed.contentLength = value
      return "Taken"
    case "transfer-encoding":
      return invalidResponse("HeaderForbidden", `Transfer-Encoding: ${value}`)
    default:
      return "AsGiven"
  }
}

/** Lengths of the names that `readField` knows: no other name is converted to lower case. */
const isKnownLength = (length: number): boolean =>
  length === 4 || length === 7 || length === 10 || length === 14 || length === 17

const emptyFields = (): ParsedFields => ({
  text: "",
  date: false,
  close: false,
  connectionKeepAlive: false,
  keepAliveField: undefined,
  otherOptions: "",
  namesFields: false,
  upgrade: false,
  contentLength: undefined
})

const parseFields = (fields: ReadonlyArray<string>): ParsedFields | InvalidResponse => {
  const parsed = emptyFields()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    const value = fields[i + 1]!
    const invalid = invalidField(name, value)
    if (invalid !== undefined) return invalid
    const read = isKnownLength(name.length) ? readField(parsed, name.toLowerCase(), value) : "AsGiven"
    if (read === "AsGiven") parsed.text += fieldLine(name, value)
    else if (read !== "Taken") return read
  }
  return parsed
}

const noFields = emptyFields()

const areSame = (left: ReadonlyArray<string>, right: ReadonlyArray<string>): boolean => {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false
  return true
}

/** The declared length, and the framing that is used: they differ for HEAD, 204 and 304. */
const chooseFraming = (
  input: ResponseHeadInput,
  declaredLength: string | undefined
): { length: number | undefined; framing: BodyFraming } | InvalidResponse => {
  const { contentLength, method, minor, status } = input
  const declared = declaredLength === undefined ? undefined : Number(declaredLength)
  // Content for HEAD, 204, 205 or 304 is omitted; only content that is sent must match the declared length.
  const isOmitted = !hasContent(status) || (method === "HEAD" && contentLength === 0)
  if (declared !== undefined && contentLength !== undefined && !isOmitted && declared !== contentLength) {
    return invalidResponse(
      declared < contentLength ? "ContentTooLong" : "ContentTooShort",
      `${contentLength} of ${declared} bytes`
    )
  }
  const length = declared ?? contentLength
  if (status === 204) return { length: undefined, framing: noContent }
  if (status === 205) return { length: 0, framing: noContent }
  if (status === 304) return { length: declared, framing: noContent }
  if (method === "HEAD") return { length, framing: noContent }
  if (length !== undefined) return { length, framing: { _tag: "Length", length } }
  return { length, framing: minor > 0 ? chunked : untilClose }
}

/**
 * `Connection`, and `Keep-Alive` as in `node:http`: from the idle timeout of the server a client can infer whether a
 * connection is still open, and avoids requests on one that is being closed (RFC 9112 §9.3.1).
 */
const connectionText = (close: boolean, minor: number, hint: string | undefined, parsed: ParsedFields): string => {
  const { connectionKeepAlive, namesFields, otherOptions, upgrade } = parsed
  const { keepAliveField = namesFields && !connectionKeepAlive ? undefined : hint } = parsed
  const isHinted = !close && keepAliveField !== undefined
  const first = close ? "close" : minor === 0 || isHinted ? "keep-alive" : ""
  if (first === "" && otherOptions === "" && !upgrade) return ""
  // A sender of Upgrade must list it in Connection, too (RFC 9110 §7.8).
  const members = [first, upgrade ? "upgrade" : "", otherOptions].filter((each) => each !== "").join(", ")
  return isHinted ? `Connection: ${members}\r\nKeep-Alive: ${keepAliveField}\r\n` : `Connection: ${members}\r\n`
}

/** The part of a head that does not depend on the content. */
interface CachedHead {
  readonly status: number
  readonly date: string
  readonly minor: number
  readonly close: boolean
  readonly keepAliveHint: string | undefined
  readonly fields: ParsedFields
  readonly text: string
}

/** Flattens a text: V8 keeps a concatenation as a tree until it is read. */
const flatten = (text: string): string => Buffer.from(text, "latin1").toString("latin1")

/** The serializer of the heads of final responses. */
export class HeadWriter {
  private lastFields: ReadonlyArray<string> = []
  private lastParsed = noFields
  private lastHead: CachedHead | undefined

  write(input: ResponseHeadInput): WrittenHead | InvalidResponse {
    const { fields } = input
    const parsed = fields.length === 0 ? noFields : this.parsedFields(fields)
    if ("_tag" in parsed) return parsed
    const framed = chooseFraming(input, parsed.contentLength)
    if ("_tag" in framed) return framed
    const { framing, length } = framed
    const close = parsed.close || !input.keepAlive || framing._tag === "UntilClose"
    const text =
      this.headText(input, parsed, close) +
      (framing._tag === "Chunked"
        ? "Transfer-Encoding: chunked\r\n\r\n"
        : length === undefined
          ? "\r\n"
          : `Content-Length: ${length}\r\n\r\n`)
    return { _tag: "Written", text, framing, keepAlive: !close }
  }

  /** Most responses have the fields of the previous one: comparing them costs a fifth of validating each character. */
  private parsedFields(fields: ReadonlyArray<string>): ParsedFields | InvalidResponse {
    if (areSame(fields, this.lastFields)) return this.lastParsed
    const parsed = parseFields(fields)
    if ("_tag" in parsed) return parsed
    this.lastFields = [...fields]
    this.lastParsed = parsed
    return parsed
  }

  /**
   * The last head as one flat string, if it is the same: the ten pieces of a new one would be copied one by one when they are
   * sent, which is a sixth of the cost of a pipelined request.
   */
  private headText(
    { date, keepAliveHint, minor, status }: ResponseHeadInput,
    parsed: ParsedFields,
    close: boolean
  ): string {
    const last = this.lastHead
    const isSame =
      last !== undefined &&
      last.fields === parsed &&
      last.status === status &&
      last.close === close &&
      last.keepAliveHint === keepAliveHint &&
      last.minor === minor &&
      last.date === date
    if (isSame) return last.text
    const text = flatten(
      statusLine(status) +
        (parsed.date ? "" : `Date: ${date}\r\n`) +
        connectionText(close, minor, keepAliveHint, parsed) +
        parsed.text
    )
    this.lastHead = { status, date, minor, close, keepAliveHint, fields: parsed, text }
    return text
  }
}

/**
 * A head of the given fields alone, without `Date` and framing: of an interim response (RFC 9110 §15.2), and of the `101` or
 * `200` after which a connection is not HTTP (§7.8, §9.3.6).
 */
export const writeHeadWithoutFraming = (status: number, fields: ReadonlyArray<string>): string | InvalidResponse => {
  let text = statusLine(status)
  for (let i = 0; i < fields.length; i += 2) {
    const invalid = invalidField(fields[i]!, fields[i + 1]!) ?? forbiddenFraming(fields[i]!)
    if (invalid !== undefined) return invalid
    text += fieldLine(fields[i]!, fields[i + 1]!)
  }
  return `${text}\r\n`
}

const forbiddenFraming = (name: string): InvalidResponse | undefined => {
  const lower = name.toLowerCase()
  return lower === "content-length" || lower === "transfer-encoding"
    ? invalidResponse("HeaderForbidden", name)
    : undefined
}
