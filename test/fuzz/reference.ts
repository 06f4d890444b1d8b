/**
 * A slow reader of a stream of requests, to hold the parser against: written from the grammar of RFC 9110, RFC 9112 and
 * RFC 3986, and from what ours decides where they leave a choice. It shares no code with the parser.
 *
 * Strategy: the whole stream is one text, read from left to right. A line is a row of parts, each that many characters of
 * a class; the first character that fits no part decides, and names its part's reason. A limit is a window: a line that
 * is right as far as its window goes, and not over there, is too long. What only a whole header section can say is
 * judged after it, in the order of `judge`.
 */
import type { HttpMethod } from "../../src/HttpMethod.js"
import * as Limits from "../../src/Limits.js"
import type { Framing } from "../../src/RequestParser.js"
import type { Heard } from "../http1/conversation.js"

/** The classes of refusals, each with its status: protocol.md's table. */
const statuses = {
  RequestLine: 400,
  Target: 400,
  Host: 400,
  HeaderField: 400,
  ContentLength: 400,
  TransferEncoding: 400,
  Chunk: 400,
  ChunkExtensions: 400,
  Trailer: 400,
  BodyTooLarge: 413,
  TargetTooLong: 414,
  Expectation: 417,
  HeadersTooLarge: 431,
  TrailersTooLarge: 431,
  MethodUnknown: 501,
  CodingUnknown: 501,
  Version: 505
} as const

export type Reason = keyof typeof statuses

/** How a stream ends: between requests, within one, or where nothing that follows can be trusted. */
export type Ending =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "NeedsMore" }
  | { readonly _tag: "Refused"; readonly reason: Reason; readonly status: number }

export interface Reading {
  readonly requests: ReadonlyArray<Heard>
  readonly ending: Ending
}

/** Thrown to end the reading, wherever it is. */
class Stop {
  constructor(readonly ending: Ending) {}
}

const refuse = (reason: Reason): never => {
  throw new Stop({ _tag: "Refused", reason, status: statuses[reason] })
}

const needMore = (): never => {
  throw new Stop({ _tag: "NeedsMore" })
}

// Characters and the parts of a line.

/** RFC 9110 §5.6.2. */
const tchar = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/
/** RFC 9110 §5.5: VCHAR, obs-text, SP and HTAB, as in every value. */
const valueChar = /[\t\x20-\x7e\x80-\xff]/
/** RFC 9112 §3.2, as wide as browsers are: visible ASCII, and no fragment (protocol.md). */
const targetChar = /[\x21\x22\x24-\x7e]/

interface Part {
  readonly of: RegExp
  readonly least: number
  readonly most: number
  /** What the first character that does not fit means. */
  readonly otherwise: (char: string) => Reason
}

const always = (reason: Reason) => (): Reason => reason

const part = (of: RegExp, [least, most]: readonly [number, number], otherwise: (char: string) => Reason): Part => ({
  of,
  least,
  most,
  otherwise
})

const letters = (text: string, reason: Reason): ReadonlyArray<Part> =>
  Array.from(text, (char) =>
    part(new RegExp(`\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`), [1, 1], always(reason))
  )

/** Where each part ends; `undefined` when the text ends before the line does. */
const walk = (text: string, parts: ReadonlyArray<Part>): ReadonlyArray<number> | undefined => {
  const ends: Array<number> = []
  let at = 0
  for (const { least, most, of, otherwise } of parts) {
    let count = 0
    while (count < most && at < text.length && of.test(text[at]!)) {
      count++
      at++
    }
    if (count < most && at === text.length) return undefined
    if (count < least) return refuse(otherwise(text[at]!))
    ends.push(at)
  }
  return ends
}

/** RFC 9112 §3: `method SP request-target SP HTTP-version CRLF`; §2.3: `HTTP-name "/" DIGIT "." DIGIT`. */
const requestLine: ReadonlyArray<Part> = [
  // No method is longer than 32 characters: the 33rd is enough to know that it is unknown.
  part(tchar, [1, 32], always("RequestLine")),
  part(/ /, [1, 1], (char) => (tchar.test(char) ? "MethodUnknown" : "RequestLine")),
  part(targetChar, [1, Number.POSITIVE_INFINITY], (char) => (/[ \r\n]/.test(char) ? "RequestLine" : "Target")),
  part(/ /, [1, 1], (char) => (/[\r\n]/.test(char) ? "RequestLine" : "Target")),
  ...letters("HTTP/", "RequestLine"),
  part(/[0-9]/, [1, 1], always("RequestLine")),
  ...letters(".", "RequestLine"),
  part(/[0-9]/, [1, 1], always("RequestLine")),
  ...letters("\r\n", "RequestLine")
]

/** RFC 9112 §5: `field-name ":" OWS field-value OWS`, CRLF. Whitespace is a part of the value until it is trimmed. */
const fieldLine = (reason: Reason): ReadonlyArray<Part> => [
  part(tchar, [1, Number.POSITIVE_INFINITY], always(reason)),
  ...letters(":", reason),
  part(valueChar, [0, Number.POSITIVE_INFINITY], always(reason)),
  ...letters("\r\n", reason)
]

/** RFC 9112 §7.1.1: `BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ]`; RFC 9110 §5.6.4: quoted-string. */
const tchars = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+(?![!#$%&'*+\\-.^_`|~0-9A-Za-z])"
const quotedText = "(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"
const beforeValue = `[ \\t]*;[ \\t]*${tchars}[ \\t]*=[ \\t]*`
const extension = `(?:${beforeValue}(?:${tchars}|"${quotedText}")|[ \\t]*;[ \\t]*${tchars}(?![ \\t]*=))`
const wholeExtensions = new RegExp(`^${extension}*$`)
/** As far as they are right: whole ones, and what may become one more. */
const extensionsSoFar = new RegExp(
  `${extension}*(?:${beforeValue}(?:"${quotedText}\\\\?)?|[ \\t]*;[ \\t]*(?:${tchars}[ \\t]*)?|[ \\t]*)`,
  "y"
)

const trim = (value: string): string => /^[ \t]*((?:[\s\S]*[^ \t])?)[ \t]*$/.exec(value)?.[1] ?? ""

// Hosts and targets.

/** RFC 3986 §3.2.2: no zeros in front, nothing beyond 255. */
const decOctet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9][0-9]|[0-9])"
const ipv4 = `${decOctet}(?:\\.${decOctet}){3}`
const h16 = "[0-9A-Fa-f]{1,4}"
const ls32 = `(?:${h16}:${h16}|${ipv4})`
/** RFC 3986 §3.2.2, its nine alternatives. */
const ipv6 = [
  `(?:${h16}:){6}${ls32}`,
  `::(?:${h16}:){5}${ls32}`,
  `(?:${h16})?::(?:${h16}:){4}${ls32}`,
  `(?:(?:${h16}:){0,1}${h16})?::(?:${h16}:){3}${ls32}`,
  `(?:(?:${h16}:){0,2}${h16})?::(?:${h16}:){2}${ls32}`,
  `(?:(?:${h16}:){0,3}${h16})?::${h16}:${ls32}`,
  `(?:(?:${h16}:){0,4}${h16})?::${ls32}`,
  `(?:(?:${h16}:){0,5}${h16})?::${h16}`,
  `(?:(?:${h16}:){0,6}${h16})?::`
].join("|")
const ipvFuture = "[vV][0-9A-Fa-f]+\\.[A-Za-z0-9\\-._~!$&'()*+,;=:]+"
/** RFC 3986 §3.2.2, without the comma, which only a list of hosts has (protocol.md). */
const regName = "(?:[A-Za-z0-9\\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})"

const withPort = new RegExp(`^(?:\\[(?:${ipv6}|${ipvFuture})\\]|${regName}+)(?::([0-9]*))?$`)

/** RFC 9110 §7.2: `uri-host [":" port]`; a port is a number of 16 bits. An empty host stands alone or not at all. */
const isHost = (text: string): boolean => {
  if (text === "") return true
  const found = withPort.exec(text)
  return found !== null && BigInt(found[1] || "0") <= 65535n
}

interface Asked {
  readonly url: string
  readonly authority: string | undefined
}

/** RFC 9112 §3.2: the four forms of a target. */
const asked = (method: string, target: string): Asked | undefined => {
  // §3.2.3: authority-form, for CONNECT and nothing else; the port must be there, and be one (RFC 9110 §9.3.6).
  if (method === "CONNECT") {
    return isHost(target) && Number(/:([0-9]+)$/.exec(target)?.[1] ?? 0) > 0
      ? { url: target, authority: target }
      : undefined
  }
  // §3.2.1: origin-form.
  if (/^\//.test(target)) return { url: target, authority: undefined }
  // §3.2.4: asterisk-form, for OPTIONS and nothing else.
  if (target === "*") return method === "OPTIONS" ? { url: "*", authority: undefined } : undefined
  // §3.2.2: absolute-form, whose scheme is case-blind (RFC 9110 §4.2.3) and whose host is not empty (§4.2.1).
  const [, authority = "", path = "", query = ""] = /^https?:\/\/([^/?]*)([^?]*)(.*)$/i.exec(target) ?? []
  if (authority === "" || !isHost(authority)) return undefined
  const isWholeServer = method === "OPTIONS" && path === "" && query === ""
  return { authority, url: isWholeServer ? "*" : `${path || "/"}${query}` }
}

// What a header section means as a whole.

/** RFC 9110 §9.1, and PATCH (RFC 5789). */
const methods: ReadonlySet<string> = new Set("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split(" "))

const isMethod = (text: string): text is HttpMethod => methods.has(text)

/** RFC 9110 §5.6.1: the members of a list; empty ones are ignored. */
const members = (values: ReadonlyArray<string>): ReadonlyArray<string> =>
  values
    .flatMap((value) => value.split(","))
    .map((member) => trim(member).toLowerCase())
    .filter((member) => member !== "")

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const isToken = new RegExp(`^${token}$`)
/** RFC 9110 §7.8: `protocol-name ["/" protocol-version]`. */
const isTokenOrTwo = new RegExp(`^${token}(?:/${token})?$`)
/**
 * RFC 9110 §10.1.4: `token *( OWS ";" OWS token BWS "=" BWS ( token / quoted-string ) )`. A quoted string with a comma or
 * a backslash in it is rejected like no coding at all: a parser that splits a list at every comma sees other codings there.
 */
const coding = new RegExp(
  `^(${token})(?:[ \\t]*;[ \\t]*${token}[ \\t]*=[ \\t]*(?:${token}|"[\\t\\x20\\x21\\x23-\\x2b\\x2d-\\x5b\\x5d-\\x7e\\x80-\\xff]*"))*$`
)

/** RFC 9112 §6.1, §7: `chunked` is the last coding, once, with nothing glued to it; anything before it is not known. */
const byCodings = (values: ReadonlyArray<string>): Framing => {
  // Not a list that forgives empty members: readers differ on whether `chunked,` is chunked (protocol.md).
  const all = values.join(",").split(",").map(trim)
  const last = all.pop() ?? ""
  if (last.toLowerCase() !== "chunked") return refuse("TransferEncoding")
  const names = all.map((each) => coding.exec(each)?.[1]?.toLowerCase())
  if (names.some((name) => name === undefined || name === "chunked")) return refuse("TransferEncoding")
  return names.length === 0 ? { _tag: "Chunked" } : refuse("CodingUnknown")
}

/** RFC 9110 §8.6: `1*DIGIT`, once; however many digits, they are a number. */
const byLength = (values: ReadonlyArray<string>, maxBody: number): Framing => {
  const [value = ""] = values
  if (values.length > 1 || !/^[0-9]+$/.test(value)) return refuse("ContentLength")
  const length = BigInt(value)
  // Fifteen digits are a whole number in any double; a server that allows more than a petabyte does not exist.
  if (length >= 10n ** 15n || Number(length) > maxBody) return refuse("BodyTooLarge")
  return length === 0n ? { _tag: "None" } : { _tag: "Length", length: Number(length) }
}

/**
 * RFC 9110 §6.5.1 and its reasons: a trailer cannot change what was decided from the head. Framing, routing, control,
 * conditions, authentication, content, the response's control data; and what proxies say of a client.
 */
const lateNames: ReadonlySet<string> = new Set(
  [
    "transfer-encoding content-length connection keep-alive proxy-connection te trailer upgrade",
    "host max-forwards forwarded x-forwarded-for x-forwarded-host x-forwarded-proto",
    "cache-control expect pragma range",
    "if-match if-none-match if-modified-since if-unmodified-since if-range",
    "authorization proxy-authorization proxy-authenticate www-authenticate cookie set-cookie",
    "content-encoding content-type content-range",
    "age date expires location retry-after vary warning"
  ].flatMap((names) => names.split(" "))
)

interface Bounds {
  readonly line: number
  readonly section: number
  readonly fields: number
  readonly malformed: Reason
  readonly tooLarge: Reason
}

class Reader {
  readonly requests: Array<Heard> = []
  readonly starts: Array<number> = []
  private at = 0

  constructor(
    private readonly text: string,
    private readonly limits: Limits.Limits
  ) {}

  /** RFC 9112 §9.3.2: one request after the other. */
  read(): Ending {
    try {
      for (;;) {
        this.starts.push(this.at)
        this.emptyLines()
        if (this.at === this.text.length) return { _tag: "Idle" }
        this.request()
      }
    } catch (stop) {
      if (stop instanceof Stop) return stop.ending
      throw stop
    }
  }

  /** RFC 9112 §2.2: up to two before the request line (protocol.md). */
  private emptyLines(): void {
    for (let count = 0; this.text[this.at] === "\r"; count++) {
      if (count === 2) refuse("RequestLine")
      this.crlf("RequestLine")
    }
  }

  private crlf(reason: Reason): void {
    for (const char of "\r\n") {
      if (this.at === this.text.length) needMore()
      if (this.text[this.at] !== char) refuse(reason)
      this.at++
    }
  }

  private request(): void {
    const line = this.line(requestLine, this.limits.maxRequestLine + 2, "TargetTooLong")
    const [, method = "", target = "", major = "", minor = ""] = /^(\S+) (\S+) HTTP\/(.)\.(.)\r\n$/.exec(line) ?? []
    // RFC 9110 §6.2: a higher minor version is read as 1.1; another major version is not HTTP/1 at all.
    if (major !== "1") refuse("Version")
    const fields = this.section({
      line: this.limits.maxHeaderLine,
      section: this.limits.maxHeaderSection,
      fields: this.limits.maxHeaders,
      malformed: "HeaderField",
      tooLarge: "HeadersTooLarge"
    })
    const head = this.judge({ method, target, minor: Number(minor) }, fields)
    this.requests.push(head)
    if (head.framing._tag === "Length") this.data(head.framing.length)
    if (head.framing._tag === "Chunked") this.chunks()
    this.change({ ended: true })
  }

  /** A line that lies in a window of that many characters. */
  private line(parts: ReadonlyArray<Part>, window: number, tooLong: Reason): string {
    const seen = this.text.slice(this.at, this.at + window)
    const ends = walk(seen, parts)
    if (ends === undefined) return seen.length === window ? refuse(tooLong) : needMore()
    const line = seen.slice(0, ends[ends.length - 1])
    this.at += line.length
    return line
  }

  /** RFC 9112 §5, §7.1.2: field lines up to an empty one; names and values in turn. */
  private section({ fields: most, line, malformed, section, tooLarge }: Bounds): ReadonlyArray<string> {
    const end = this.at + section + 2
    const fields: Array<string> = []
    const parts = fieldLine(malformed)
    for (;;) {
      const window = Math.min(line + 2, end - this.at)
      const first = window === 0 ? undefined : this.text[this.at]
      if (first === "\r") {
        this.line(letters("\r\n", malformed), window, tooLarge)
        return fields
      }
      if (first !== undefined && tchar.test(first) && fields.length === 2 * most) refuse(tooLarge)
      const read = this.line(parts, window, tooLarge)
      const colon = read.indexOf(":")
      fields.push(read.slice(0, colon), trim(read.slice(colon + 1, -2)))
    }
  }

  /** The order is ours: host, framing, method, target, expectation. */
  private judge(
    { method, minor, target }: { readonly method: string; readonly target: string; readonly minor: number },
    fields: ReadonlyArray<string>
  ): Heard {
    const valuesOf = (name: string): ReadonlyArray<string> =>
      fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name)

    // RFC 9112 §3.2: exactly one Host, and a valid one; HTTP/1.0 may lack it.
    const hosts = valuesOf("host")
    if (hosts.length > 1 || (hosts.length === 0 && minor > 0) || !hosts.every(isHost)) refuse("Host")

    // RFC 9112 §6.1, §6.3.
    const lengths = valuesOf("content-length")
    const codings = valuesOf("transfer-encoding")
    if (codings.length > 0 && (lengths.length > 0 || minor === 0)) refuse("TransferEncoding")
    const framing: Framing =
      codings.length > 0
        ? byCodings(codings)
        : lengths.length > 0
          ? byLength(lengths, this.limits.maxBody)
          : { _tag: "None" }

    if (!isMethod(method)) return refuse("MethodUnknown")
    const { authority, url } = asked(method, target) ?? refuse("Target")

    // RFC 9110 §10.1.1: HTTP/1.0 cannot expect anything; 100-continue is the only expectation.
    const expectations = minor === 0 ? [] : members(valuesOf("expect"))
    if (expectations.some((each) => each !== "100-continue")) refuse("Expectation")

    // RFC 9110 §7.6.1, RFC 9112 §9.3; RFC 9110 §7.8: an offer names a protocol, and Connection names it.
    // What is no token there is rejected: a parser that unquotes, splits or trims it sees another option.
    const options = members(valuesOf("connection"))
    if (!options.every((each) => isToken.test(each))) refuse("HeaderField")
    const protocols = minor > 0 && options.includes("upgrade") ? members(valuesOf("upgrade")) : []
    if (!protocols.every((each) => isTokenOrTwo.test(each))) refuse("HeaderField")
    return {
      method,
      target,
      url,
      authority: authority ?? hosts[0] ?? "",
      version: `HTTP/1.${minor}`,
      framing,
      keepAlive: !options.includes("close") && (minor > 0 || options.includes("keep-alive")),
      expectsContinue: expectations.length > 0,
      offersUpgrade: protocols.length > 0,
      fields,
      body: "",
      trailers: [],
      ended: false
    }
  }

  private change(by: Partial<Heard>): void {
    const last = this.requests.pop()
    if (last !== undefined) this.requests.push({ ...last, ...by })
  }

  /** RFC 9112 §6.2: that many bytes, whatever they are. */
  private data(length: number): void {
    const data = this.text.slice(this.at, this.at + length)
    this.change({ body: `${this.requests[this.requests.length - 1]?.body}${data}` })
    this.at += data.length
    if (data.length < length) needMore()
  }

  /** RFC 9112 §7.1: `*chunk last-chunk trailer-section CRLF`. */
  private chunks(): void {
    const { limits, text } = this
    let total = 0n
    let extensions = 0
    for (;;) {
      // §7.1: `1*HEXDIG`, sixteen at most (protocol.md), and nothing else before the line end or an extension.
      const digits = this.while(/[0-9A-Fa-f]*/y)
      if (digits.length > 16) refuse("Chunk")
      if (this.at === text.length) needMore()
      if (digits === "" || !/[\r; \t]/.test(text[this.at]!)) refuse("Chunk")
      const size = BigInt(`0x${digits}`)
      total += size
      if (total > BigInt(Number.MAX_SAFE_INTEGER) || Number(total) > limits.maxBody) refuse("BodyTooLarge")
      // §7.1.1: bounded in sum, and ignored when they are well-formed.
      const extension = this.while(extensionsSoFar)
      extensions += extension.length
      if (extensions > limits.maxChunkExtensions) refuse("ChunkExtensions")
      if (this.at === text.length) needMore()
      if (!wholeExtensions.test(extension)) refuse("Chunk")
      this.crlf("Chunk")
      if (size === 0n) break
      this.data(Number(size))
      this.crlf("Chunk")
    }
    const bounds = { line: limits.maxTrailerSection, section: limits.maxTrailerSection, fields: limits.maxTrailers }
    const fields = this.section({ ...bounds, malformed: "Trailer", tooLarge: "TrailersTooLarge" })
    this.change({ trailers: fields.filter((_, i) => !lateNames.has(fields[i - (i % 2)]!.toLowerCase())) })
  }

  private while(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const [found = ""] = pattern.exec(this.text) ?? []
    this.at += found.length
    return found
  }
}

/** Reads all that is in the bytes. */
export const read = (bytes: Buffer, options: Limits.Options = {}): Reading => {
  const reader = new Reader(bytes.toString("latin1"), Limits.make(options))
  const ending = reader.read()
  return { requests: reader.requests, ending }
}

/** Where each request begins, with the empty lines before it; the last is one that has not come, or was not read. */
export const startsOf = (bytes: Buffer): ReadonlyArray<number> => {
  const reader = new Reader(bytes.toString("latin1"), Limits.defaults)
  reader.read()
  return reader.starts
}
