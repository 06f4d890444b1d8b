/**
 * The differential fuzzer: one stream of bytes, four readers. Our parser must give what the reference reader gives, to
 * the letter; our server must do what our parser gives; and both must agree with the parser inside Node, except where a
 * rule of `differences.ts` gives the reason. Anything else is a finding.
 */
import { isDeepStrictEqual } from "node:util"
import { isForbiddenTrailer } from "../../src/internal/http1/bodyDecoder.js"
import { ask } from "./oracle.js"
import { type Parsed, parse } from "./reading.js"
import { read, startsOf } from "./reference.js"
import type { Serve, Served } from "./running.js"
import type { Seen, View } from "./view.js"

/** Where our parser and Node's part, first. */
export interface Difference {
  readonly what:
    | "ours rejects"
    | "node rejects"
    | "other extent"
    | "other head"
    | "other body"
    | "other trailers"
    | "fewer trailers"
  /** The result of each for that request: it reads it, waits for more of it, or refuses it, and why. */
  readonly ours: string
  readonly node: string
  /** Whether Node has handed out the head of that request. */
  readonly isHandedOut: boolean
  /** The bytes from that request on, and the one before it. */
  readonly text: string
  readonly before: string
}

export interface Finding {
  readonly between: "parser and reference" | "server and parser" | "parser and node"
  readonly what: string
  readonly ours: unknown
  readonly theirs: unknown
}

/**
 * What a server does with its parser's result: nothing after a request that closes the connection, and nothing after
 * a CONNECT, which no handler accepts here (RFC 9110 §9.3.6).
 */
export const oursOf = ({ ending, requests }: Parsed): View => {
  const connect = requests.findIndex(({ method }) => method === "CONNECT")
  const close = requests.findIndex(({ ended, keepAlive }) => ended && !keepAlive)
  const seen = (count: number): ReadonlyArray<Seen> =>
    requests.slice(0, count).map(({ body, ended, fields, method, target, trailers, version }) => ({
      method,
      target,
      version,
      fields,
      body,
      trailers,
      ended
    }))
  if (connect >= 0 && (close < 0 || connect <= close)) {
    return { requests: seen(connect), ending: { _tag: "Refused", why: "MethodUnknown", status: 501 } }
  }
  if (close >= 0) return { requests: seen(close + 1), ending: { _tag: "Idle" } }
  return {
    requests: seen(requests.length),
    ending: ending._tag === "Refused" ? { _tag: "Refused", why: ending.reason, status: ending.status } : ending
  }
}

const isClosing = ({ requests }: Parsed, index: number): boolean => requests[index]?.keepAlive === false

const headOf = ({ fields, method, target, version }: Seen): unknown => [method, target, version, fields]

const withoutForbidden = (trailers: ReadonlyArray<string>): ReadonlyArray<string> =>
  trailers.filter((_, i) => !isForbiddenTrailer(trailers[i - (i % 2)]!))

const verdictOn = ({ ending, requests }: View, request: number): string => {
  if (requests[request]?.ended === true) return "reads"
  return ending._tag === "Refused" ? ending.why : "waits"
}

const refuses = ({ ending }: View): boolean => ending._tag === "Refused"

/** The first request that is not the same, and how. What Node does after one that closes is its own affair. */
const partingOf = (
  parsed: Parsed,
  ours: View,
  node: View
): readonly [what: Difference["what"], request: number] | undefined => {
  // Intended drops are reported last, so that they hide nothing.
  let fewer: number | undefined
  const same = (): readonly [Difference["what"], number] | undefined =>
    fewer === undefined ? undefined : ["fewer trailers", fewer]
  for (let request = 0; ; request++) {
    const a = ours.requests[request]
    const b = node.requests[request]
    if (a === undefined && b === undefined) {
      if (refuses(ours) !== refuses(node)) return [refuses(ours) ? "ours rejects" : "node rejects", request]
      return refuses(ours) || ours.ending._tag === node.ending._tag ? same() : ["other extent", request]
    }
    if (a === undefined || b === undefined) {
      // A head that one of them refuses and the other hands out; or one waits where the other reads on.
      if (a === undefined && refuses(ours)) return ["ours rejects", request]
      return [b === undefined && refuses(node) ? "node rejects" : "other extent", request]
    }
    if (!isDeepStrictEqual(headOf(a), headOf(b))) return ["other head", request]
    if (!a.ended || !b.ended) {
      if (!a.ended && !b.ended && refuses(ours) === refuses(node)) {
        return refuses(ours) || a.body === b.body ? same() : ["other body", request]
      }
      if (!a.ended && refuses(ours)) return ["ours rejects", request]
      return [!b.ended && refuses(node) ? "node rejects" : "other extent", request]
    }
    if (a.body !== b.body) return ["other body", request]
    if (!isDeepStrictEqual(a.trailers, withoutForbidden(b.trailers))) return ["other trailers", request]
    if (a.trailers.length < b.trailers.length) fewer ??= request
    if (isClosing(parsed, request)) return same()
  }
}

/** The first difference between our parser and Node's. */
export const differenceOf = (bytes: Buffer, parsed: Parsed = parse([bytes]), node: View = ask(bytes)) => {
  const ours = oursOf(parsed)
  const parting = partingOf(parsed, ours, node)
  if (parting === undefined) return undefined
  const [what, request] = parting
  const starts = startsOf(bytes)
  const text = bytes.toString("latin1")
  const difference: Difference = {
    what,
    ours: verdictOn(ours, request),
    node: verdictOn(node, request),
    isHandedOut: node.requests[request] !== undefined,
    text: text.slice(starts[request] ?? 0),
    before: request === 0 ? "" : text.slice(starts[request - 1] ?? 0, starts[request] ?? 0)
  }
  return difference
}

/** A request as a handler sees it: Host is the authority of a target in absolute-form (RFC 9112 §3.2.2). */
const withTargetAuthority = (seen: Seen): Seen => {
  const [, authority] = /^https?:\/\/([^/?]*)/i.exec(seen.target) ?? []
  if (authority === undefined) return seen
  const host = seen.fields.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === "host")
  const fields =
    host < 0 ? ["Host", authority, ...seen.fields] : seen.fields.map((each, i) => (i === host + 1 ? authority : each))
  return { ...seen, fields }
}

/** A target of `https`, which the server refuses without TLS (RFC 9110 §7.4); parsers accept it. */
const isMisdirected = ({ target }: Seen): boolean => /^https:/i.test(target)

/** The requests before the one that is refused, by a parser or for its target. */
const throughRefusal = ({ ending, requests }: View): View => {
  const refused = requests.findIndex(isMisdirected)
  if (refused < 0) return { ending, requests }
  return { requests: requests.slice(0, refused), ending: { _tag: "Refused", why: "Scheme", status: 421 } }
}

/** What the server must have done, if it follows the parser's result: the requests, and the statuses of the responses. */
const served = (view: View): Served => {
  const { ending, requests } = throughRefusal(view)
  return {
    requests: requests.map((each) => withTargetAuthority(each.ended ? each : { ...each, body: "" })),
    statuses: [
      ...requests.filter(({ ended }) => ended).map(() => 200),
      ...(ending._tag === "Refused" ? [ending.status] : []),
      ...(ending._tag === "NeedsMore" ? [400] : [])
    ],
    isIncomplete: ending._tag === "NeedsMore"
  }
}

/** Says which rule accepts a difference; `undefined` is none. */
export type Classify = (difference: Difference) => string | undefined

export interface Verdict {
  readonly finding: Finding | undefined
  /** The rule that accepts a difference to Node. */
  readonly rule: string | undefined
}

const found = (between: Finding["between"], what: string, ours: unknown, theirs: unknown): Verdict => ({
  finding: { between, what, ours, theirs },
  rule: undefined
})

/** Far longer than a server needs that looks at bytes in memory. */
const timeout = 10_000

const within = async (serving: Promise<Served>): Promise<Served | undefined> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeout)
  })
  const first = await Promise.race([serving, late])
  clearTimeout(timer)
  return first
}

/** Asks all four. The server is the only one that takes time. */
export const judge = async (
  { bytes, segments }: { readonly bytes: Buffer; readonly segments: ReadonlyArray<Buffer> },
  serve: Serve,
  classify: Classify
): Promise<Verdict> => {
  const serving = serve(segments)
  const parsed = parse(segments)
  const reference = read(bytes)
  const ours = oursOf(parsed)
  const actual = await within(serving)
  if (actual === undefined) return found("server and parser", "the server does not end", undefined, ours)
  if (!isDeepStrictEqual(parsed, reference)) return found("parser and reference", "differ", parsed, reference)
  const said = served(ours)
  const expected = actual.isIncomplete === undefined ? { ...said, isIncomplete: undefined } : said
  if (!isDeepStrictEqual(actual, expected)) return found("server and parser", "differ", actual, expected)
  const node = ask(bytes)
  const difference = differenceOf(bytes, parsed, node)
  if (difference === undefined) return { finding: undefined, rule: undefined }
  const rule = classify(difference)
  if (rule !== undefined) return { finding: undefined, rule }
  return found("parser and node", `${difference.what}: ${difference.ours}, ${difference.node}`, ours, node)
}
