/**
 * A response's head: its status line, its fields, and exactly one framing, chosen by what is known.
 *
 * Strategy: the handler's fields are walked once; each is checked and written on the way, and the few that framing and
 * persistence depend on are judged. A refusal is a value, found before a byte has been handed out. Text is one
 * character a byte.
 *
 * @internal
 */
import type { HttpMethod } from "../../HttpMethod.js"
import type { ErrorReason } from "../errorReasons.js"
import { splitList, trimOws } from "../fieldList.js"
import { HTAB, isToken, SP } from "./characters.js"

/** How the bytes behind a head are delimited. @internal */
export type BodyFraming =
  | { readonly _tag: "None" }
  | { readonly _tag: "Length"; readonly length: number }
  | { readonly _tag: "Chunked" }
  | { readonly _tag: "UntilClose" }

/** A response that must not be written. @internal */
export interface InvalidResponse {
  readonly _tag: "Refused"
  readonly reason: ErrorReason
  readonly actual: string
}

/** What a head is made from. @internal */
export interface ResponseHeadInput {
  readonly status: number
  /** Names and values in turn. */
  readonly fields: ReadonlyArray<string>
  /** Bytes of the content, when they are known before they are written. */
  readonly contentLength: number | undefined
  /** What was asked, since HEAD is answered without content. */
  readonly method: HttpMethod
  /** The minor version of the request: HTTP/1.0 knows neither chunks nor persistence by default. */
  readonly minor: number
  /** Whether the connection may go on after this answer. */
  readonly keepAlive: boolean
  /** The value of `Keep-Alive` where the connection goes on: how long it waits for a next request. None when left out. */
  readonly keepAliveHint?: string | undefined
  /** `Date`, ready to be sent. */
  readonly date: string
}

/** A head, ready to be sent. @internal */
export interface WrittenHead {
  readonly _tag: "Written"
  readonly text: string
  readonly framing: BodyFraming
  /** Whether the connection goes on: no, when nobody wanted it, or when only its end can end the content. */
  readonly keepAlive: boolean
}

const noContent: BodyFraming = { _tag: "None" }
const chunked: BodyFraming = { _tag: "Chunked" }
const untilClose: BodyFraming = { _tag: "UntilClose" }

/** @internal */
export const invalidResponse = (reason: ErrorReason, actual: string): InvalidResponse => ({
  _tag: "Refused",
  reason,
  actual: actual
})

const isValue = (value: string): boolean => {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < SP && code !== HTAB) || code === 0x7f || code > 0xff) return false
  }
  return true
}

const isBlank = (code: number): boolean => code === SP || code === HTAB

/** A field's line; white space around a value is no part of it, and is not sent (RFC 9110 §5.5). @internal */
export const fieldLine = (name: string, value: string): string =>
  isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))
    ? `${name}: ${trimOws(value)}\r\n`
    : `${name}: ${value}\r\n`

/** Whether a field may be written; a CR or LF in it would be a second response (RFC 9110 §5.5). @internal */
export const invalidField = (name: string, value: string): InvalidResponse | undefined => {
  // Types forbid it, but what came through `any` should be named, and not written as something else.
  if (typeof name !== "string" || typeof value !== "string")
    return invalidResponse("HeaderValue", `${name}: ${typeof value}`)
  if (!isToken(name)) return invalidResponse("HeaderName", name)
  return isValue(value) ? undefined : invalidResponse("HeaderValue", `${name}: ${value}`)
}

/** A status line for every code there is: `HTTP/1.1 299 ` with its space, for one without a phrase. */
const statusLines: Array<string> = []

/** @internal */
export const statusLine = (status: number, phrase: (status: number) => string | undefined): string =>
  (statusLines[status] ??= `HTTP/1.1 ${status} ${phrase(status) ?? ""}\r\n`)

/** Whether a response of this status has content at all (RFC 9110 §6.4.1; §15.3.6 for 205). @internal */
export const hasContent = (status: number): boolean =>
  status >= 200 && status !== 204 && status !== 205 && status !== 304

/** What the handler's own fields say about the connection and the content. */
interface ParsedFields {
  text: string
  date: boolean
  close: boolean
  /** `keep-alive` is a member of `Connection`. */
  keepsAlive: boolean
  /** `Keep-Alive`, which is sent where the connection goes on. */
  keepAlive: string | undefined
  /** Members of `Connection` that are neither `close` nor `keep-alive` nor `upgrade`. */
  options: string
  /** `Connection` has members that are neither `close` nor `keep-alive`: what else it says is the handler's to decide. */
  hasOptions: boolean
  /** `Upgrade` is there, or the option that names it: 426, or an offer of the server's. */
  upgrade: boolean
  contentLength: string | undefined
}

const readConnection = (declared: ParsedFields, value: string): void => {
  for (const option of splitList(value)) {
    const lower = option.toLowerCase()
    if (lower === "close") declared.close = true
    else if (lower === "keep-alive") declared.keepsAlive = true
    else if (lower !== "") {
      declared.hasOptions = true
      if (lower === "upgrade") declared.upgrade = true
      else declared.options += `${declared.options === "" ? "" : ", "}${option}`
    }
  }
}

/** Whether the field is written by us, not as given; a refusal when it must not be given at all. */
const consume = (declared: ParsedFields, lower: string, value: string): boolean | InvalidResponse => {
  switch (lower) {
    case "date":
      if (declared.date) return invalidResponse("HeaderValue", "Date: twice")
      declared.date = true
      return false
    case "connection":
      readConnection(declared, value)
      return true
    case "keep-alive":
      declared.keepAlive =
        declared.keepAlive === undefined ? trimOws(value) : `${declared.keepAlive}, ${trimOws(value)}`
      return true
    case "upgrade":
      if (value === "") return invalidResponse("HeaderValue", "Upgrade: no protocol")
      declared.upgrade = true
      return false
    case "content-length":
      if (declared.contentLength !== undefined || !/^[0-9]{1,15}$/.test(value)) {
        return invalidResponse("HeaderValue", `Content-Length: ${value}`)
      }
      declared.contentLength = value
      return true
    case "transfer-encoding":
      return invalidResponse("HeaderForbidden", `Transfer-Encoding: ${value}`)
    default:
      return false
  }
}

/** Only names as long as these can be one of the six: no other is put into lower case. */
const isTakenLength = (length: number): boolean =>
  length === 4 || length === 7 || length === 10 || length === 14 || length === 17

const emptyFields = (): ParsedFields => ({
  text: "",
  date: false,
  close: false,
  keepsAlive: false,
  keepAlive: undefined,
  options: "",
  hasOptions: false,
  upgrade: false,
  contentLength: undefined
})

const parseFields = (fields: ReadonlyArray<string>): ParsedFields | InvalidResponse => {
  const declared = emptyFields()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    const value = fields[i + 1]!
    const refusal = invalidField(name, value)
    if (refusal !== undefined) return refusal
    const taken = isTakenLength(name.length) && consume(declared, name.toLowerCase(), value)
    if (taken === false) declared.text += fieldLine(name, value)
    else if (taken !== true) return taken
  }
  return declared
}

const noFields = emptyFields()

const areSame = (some: ReadonlyArray<string>, others: ReadonlyArray<string>): boolean => {
  if (some.length !== others.length) return false
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false
  return true
}

let lastFields: ReadonlyArray<string> = []
let lastParsed = noFields

/** Answers mostly have the fields of the one before: to compare them costs a fifth of looking at each character. */
const cachedFields = (fields: ReadonlyArray<string>): ParsedFields | InvalidResponse => {
  if (areSame(fields, lastFields)) return lastParsed
  const declared = parseFields(fields)
  if ("_tag" in declared) return declared
  lastFields = [...fields]
  lastParsed = declared
  return declared
}

/** The length that is announced, and the framing that is used: not the same for HEAD, 204 and 304. */
const chooseFraming = (
  outline: ResponseHeadInput,
  own: string | undefined
): { length: number | undefined; framing: BodyFraming } | InvalidResponse => {
  const { contentLength, method, minor, status } = outline
  const declared = own === undefined ? undefined : Number(own)
  // Content for HEAD, 204, 205 or 304 is left out, so it cannot disagree; only what leaves has to keep its word.
  const isLeftOut = !hasContent(status) || (method === "HEAD" && contentLength === 0)
  if (declared !== undefined && contentLength !== undefined && !isLeftOut && declared !== contentLength) {
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
 * `Connection`, and `Keep-Alive` as `node:http` has it: with the time that the server waits for a next request a client
 * can tell whether a connection is still there, and sends none into one that is being closed (RFC 9112 §9.3.1).
 */
const connectionText = (close: boolean, minor: number, hint: string | undefined, declared: ParsedFields): string => {
  const { hasOptions, keepAlive = hasOptions && !declared.keepsAlive ? undefined : hint, options, upgrade } = declared
  const isHinted = !close && keepAlive !== undefined
  const first = close ? "close" : minor === 0 || isHinted ? "keep-alive" : ""
  if (first === "" && options === "" && !upgrade) return ""
  // Whoever sends Upgrade names it here too (RFC 9110 §7.8).
  const members = [first, upgrade ? "upgrade" : "", options].filter((each) => each !== "").join(", ")
  return isHinted ? `Connection: ${members}\r\nKeep-Alive: ${keepAlive}\r\n` : `Connection: ${members}\r\n`
}

/** All of a head but what its content decides. */
interface CachedHead {
  readonly status: number
  readonly date: string
  readonly minor: number
  readonly close: boolean
  readonly keepAliveHint: string | undefined
  readonly fields: ParsedFields
  readonly text: string
}

let lastHead: CachedHead | undefined

/**
 * The last one is kept, as one piece: put together anew, its ten pieces would be copied one by one when they are sent,
 * which is a sixth of a pipelined request.
 */
const cachedHead = (
  { date, keepAliveHint, minor, status }: ResponseHeadInput,
  declared: ParsedFields,
  close: boolean,
  phrase: (status: number) => string | undefined
): string => {
  const last = lastHead
  const isSame =
    last !== undefined &&
    last.fields === declared &&
    last.status === status &&
    last.close === close &&
    last.keepAliveHint === keepAliveHint &&
    last.minor === minor &&
    last.date === date
  if (isSame) return last.text
  const text = flatten(
    statusLine(status, phrase) +
      (declared.date ? "" : `Date: ${date}\r\n`) +
      connectionText(close, minor, keepAliveHint, declared) +
      declared.text
  )
  lastHead = { status, date, minor, close, keepAliveHint, fields: declared, text }
  return text
}

/** The same text; V8 keeps what was added up as a tree until it has to be read. */
const flatten = (text: string): string => Buffer.from(text, "latin1").toString("latin1")

/** @internal */
export const writeHead = (
  outline: ResponseHeadInput,
  phrase: (status: number) => string | undefined
): WrittenHead | InvalidResponse => {
  const { fields } = outline
  const declared = fields.length === 0 ? noFields : cachedFields(fields)
  if ("_tag" in declared) return declared
  const framed = chooseFraming(outline, declared.contentLength)
  if ("_tag" in framed) return framed
  const { framing, length } = framed
  const close = declared.close || !outline.keepAlive || framing._tag === "UntilClose"
  const text =
    cachedHead(outline, declared, close, phrase) +
    (framing._tag === "Chunked"
      ? "Transfer-Encoding: chunked\r\n\r\n"
      : length === undefined
        ? "\r\n"
        : `Content-Length: ${length}\r\n\r\n`)
  return { _tag: "Written", text, framing, keepAlive: !close }
}

/** The head of an interim response, or of `101`: fields only, no `Date`, no framing (RFC 9110 §15.2). @internal */
export const writeInterim = (
  status: number,
  fields: ReadonlyArray<string>,
  phrase: (status: number) => string | undefined
): string | InvalidResponse => {
  let text = statusLine(status, phrase)
  for (let i = 0; i < fields.length; i += 2) {
    const refusal = invalidField(fields[i]!, fields[i + 1]!) ?? forbiddenFraming(fields[i]!)
    if (refusal !== undefined) return refusal
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
