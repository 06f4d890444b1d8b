/**
 * Parser of a request head: its line, its fields, and what they mean for the connection.
 *
 * `RequestLineParser` and `HeaderFieldParser` locate the parts. The six fields that the server itself depends on are
 * collected on the way, and validated together at the end of the section. All other fields stay bytes until a handler reads
 * them.
 */
import type { HttpMethod } from "../../HttpMethod.js"
import type { HttpVersion } from "../../HttpVersion.js"
import type { Limits } from "../../Limits.js"
import { listMembers, splitList } from "../fields/fieldList.js"
import { isAuthority, parseTarget, type Target } from "./authority.js"
import { cachedLatin1Slice, isToken, latin1Slice, nameEquals } from "./characters.js"
import { bodyFraming, type Framing, noBody } from "./framing.js"
import { HeaderFieldParser, splitFields } from "./headerFields.js"
import type { ParseBuffer } from "./parseBuffer.js"
import { type Malformed, malformed } from "./parseResult.js"
import { RequestLineParser, type UnknownMethods } from "./requestLine.js"

/** The head of a request. */
export interface RequestHead {
  readonly _tag: "Head"
  readonly method: HttpMethod
  /** The request target as sent. */
  readonly target: string
  /** Path and query for routing. */
  readonly url: string
  /** The authority of the target, else that of Host; "" when HTTP/1.0 omits it. */
  readonly authority: string
  readonly version: HttpVersion
  readonly framing: Framing
  /** Whether the client allows the connection to persist. */
  readonly keepAlive: boolean
  /** Whether the client expects `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean
  /** Whether the client offers to change the protocol: `Upgrade`, named by `Connection` (RFC 9110 §7.8). */
  readonly offersUpgrade: boolean
  /** Alternating names and values, decoded on each call. */
  readonly fields: () => ReadonlyArray<string>
}

const versions: ReadonlyArray<HttpVersion> = Array.from({ length: 10 }, (_, minor) => ({
  original: `HTTP/1.${minor}`,
  major: 1,
  minor
}))

/**
 * A class instead of a literal: V8 allocates the objects of a literal in its old generation once many of them have survived a
 * collection, and each then retains, until the next full collection, everything it refers to. With a handler that keeps its
 * request for a moment, that retained every request: 0.9 KB each, and a tenth to a fifth of its time.
 */
class Head implements RequestHead {
  readonly _tag = "Head"
  url = ""
  authority = ""
  version = versions[1]!
  framing: Framing = noBody
  keepAlive = false
  expectsContinue = false
  offersUpgrade = false

  constructor(
    readonly method: HttpMethod,
    readonly target: string,
    readonly fields: () => ReadonlyArray<string>
  ) {}
}

const none: ReadonlyArray<string> = []

/** The usual values of `Connection`, parsed. */
const usualOptions: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["close", ["close"]],
  ["keep-alive", ["keep-alive"]],
  ["Keep-Alive", ["keep-alive"]]
])

const notEmpty = (member: string): boolean => member !== ""

/**
 * The members of the `Connection` fields in lower case: a list of case-insensitive tokens (RFC 9110 §7.6.1). `undefined` when a
 * member is no token: a recipient that unquotes, splits or trims it differently gets another option.
 */
const optionsOf = (values: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  const value = values.join(",")
  const usual = usualOptions.get(value)
  if (usual !== undefined) return usual
  const options = splitList(value.toLowerCase()).filter(notEmpty)
  return options.every(isToken) ? options : undefined
}

/** `protocol-name ["/" protocol-version]`, both tokens (RFC 9110 §7.8). */
const isProtocol = (text: string): boolean => {
  const slash = text.indexOf("/")
  return slash < 0 ? isToken(text) : isToken(text.slice(0, slash)) && isToken(text.slice(slash + 1))
}

export class RequestHeadParser {
  private readonly requestLine: RequestLineParser
  private readonly fieldParser: HeaderFieldParser
  private inFields = false

  private hosts = 0
  private host = ""
  private contentLengths = none
  private transferEncodings = none
  private connections = none
  private upgrades = none
  private expectations = none
  /** The last valid host: the requests of a connection repeat it, and it is validated once. */
  private trustedHost = ""

  constructor(
    private readonly limits: Limits,
    unknownMethods: UnknownMethods
  ) {
    this.requestLine = new RequestLineParser(limits.maxRequestLine, unknownMethods)
    this.fieldParser = new HeaderFieldParser(
      {
        maxLine: limits.maxHeaderLine,
        maxSection: limits.maxHeaderSection,
        maxFields: limits.maxHeaders,
        malformedReason: "HeaderField",
        tooLargeReason: "HeadersTooLarge"
      },
      (buf, nameFrom, nameTo, from, to) => this.onField(buf, nameFrom, nameTo, from, to)
    )
  }

  /** True if no byte of the next request has been parsed. */
  get isIdle(): boolean {
    return !this.inFields && this.requestLine.isIdle
  }

  /** True if not even an empty line has been parsed. */
  get isPristine(): boolean {
    return !this.inFields && this.requestLine.isPristine
  }

  /** The method of the head that is being parsed, or that was malformed. */
  get method(): HttpMethod | undefined {
    return this.requestLine.method
  }

  next(input: ParseBuffer): "NeedMore" | RequestHead | Malformed {
    if (!this.inFields) {
      const result = this.requestLine.scan(input)
      if (result !== "Done") return result
      this.inFields = true
    }
    const result = this.fieldParser.scan(input)
    if (result !== "Done") return result
    const { base, buf } = input
    const end = (input.base = input.position)
    const head = this.validate(() => splitFields(buf, base, end))
    if (head._tag === "Head") this.reset()
    return head
  }

  private reset(): void {
    this.inFields = false
    this.requestLine.reset()
    this.fieldParser.reset()
    this.hosts = 0
    this.host = ""
    this.contentLengths = this.transferEncodings = this.connections = this.upgrades = this.expectations = none
  }

  /** The length of a name rules out nearly every field before a byte of it is compared. */
  private onField(buf: Buffer, nameFrom: number, nameTo: number, from: number, to: number): void {
    switch (nameTo - nameFrom) {
      case 4:
        if (nameEquals(buf, nameFrom, nameTo, "host")) {
          this.hosts++
          this.host = cachedLatin1Slice(this.trustedHost, buf, from, to)
        }
        return
      case 6:
        if (nameEquals(buf, nameFrom, nameTo, "expect")) {
          this.expectations = [...this.expectations, ...listMembers(latin1Slice(buf, from, to))]
        }
        return
      case 7:
        if (nameEquals(buf, nameFrom, nameTo, "upgrade")) this.upgrades = [...this.upgrades, latin1Slice(buf, from, to)]
        return
      case 10:
        if (nameEquals(buf, nameFrom, nameTo, "connection")) {
          this.connections = [...this.connections, latin1Slice(buf, from, to)]
        }
        return
      case 14:
        if (nameEquals(buf, nameFrom, nameTo, "content-length")) {
          this.contentLengths = [...this.contentLengths, latin1Slice(buf, from, to)]
        }
        return
      case 17:
        if (nameEquals(buf, nameFrom, nameTo, "transfer-encoding")) {
          this.transferEncodings = [...this.transferEncodings, latin1Slice(buf, from, to)]
        }
        return
    }
  }

  /** Validates the complete head; the order of the checks determines which error is reported. */
  private validate(fields: () => ReadonlyArray<string>): RequestHead | Malformed {
    const { host, requestLine: line } = this
    const { minor } = line
    if (this.hosts > 1) return malformed("Host", "more than one")
    if (this.hosts === 0 && minor > 0) return malformed("Host", "missing")
    if (host !== this.trustedHost) {
      if (!isAuthority(host)) return malformed("Host", host)
      this.trustedHost = host
    }

    const framing =
      this.contentLengths === none && this.transferEncodings === none
        ? noBody
        : bodyFraming(
            { contentLengths: this.contentLengths, transferEncodings: this.transferEncodings, minor },
            this.limits.maxBody
          )
    if (framing._tag === "Malformed") return framing

    const { method } = line
    if (method === undefined) return malformed("MethodUnknown", line.methodText)
    const target: Target | undefined =
      line.target.charCodeAt(0) === 0x2f && method !== "CONNECT"
        ? { authority: undefined, url: line.target }
        : parseTarget(method, line.target)
    if (target === undefined) return malformed("Target", line.target)

    const expectsContinue = minor > 0 && this.expectations.length > 0
    if (expectsContinue && this.expectations.some((each) => each.toLowerCase() !== "100-continue")) {
      return malformed("Expectation", this.expectations.join(", "))
    }

    const options = this.connections === none ? none : optionsOf(this.connections)
    if (options === undefined) return malformed("HeaderField", `Connection: ${this.connections.join(", ")}`)
    const isOffer = minor > 0 && this.upgrades !== none && options.includes("upgrade")
    // A list without a member names no protocol (RFC 9110 §5.6.1.2, §7.8).
    const protocols = isOffer ? splitList(this.upgrades.join(",")).filter(notEmpty) : none
    if (!protocols.every(isProtocol)) return malformed("HeaderField", `Upgrade: ${this.upgrades.join(", ")}`)

    const wantsClose = options.includes("close")
    const head = new Head(method, line.target, fields)
    head.url = target.url
    head.authority = target.authority ?? host
    head.version = versions[minor]!
    head.framing = framing
    head.keepAlive = !wantsClose && (minor > 0 || options.includes("keep-alive"))
    head.expectsContinue = expectsContinue
    head.offersUpgrade = protocols.length > 0
    return head
  }
}
