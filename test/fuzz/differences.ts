/**
 * Where our parser and the strict one inside Node differ, and may: each rule states what differs, why ours is right, and
 * shows it in a row of bytes. The first rule that fits accepts a difference; what none fits is a finding.
 *
 * Rules of the first part are about what ours rejects and Node reads: ours is the stricter, and that its strictness is
 * the RFC's is checked by the reference reader. Those of the second part, where Node is the stricter, are narrow: a
 * shape of bytes, and the code of Node's error.
 */
import type { Difference } from "./differential.js"

export interface Rule {
  readonly name: string
  /** What each does, in a few words. */
  readonly ours: string
  readonly node: string
  /** Why ours is right. */
  readonly reason: string
  /** The shortest bytes that show it. */
  readonly example: string
  /** The version of Node's parser, llhttp, from which on it reads the example as ours does: Node 22.23 and 24 have 9.4. */
  readonly until?: `${number}.${number}`
  readonly accepts: (difference: Difference) => boolean
}

const isLenient = (difference: Difference): boolean => difference.node === "reads" || difference.node === "waits"

/** Ours rejects for that reason what Node has not rejected. */
const oursRefuses =
  (reasons: ReadonlyArray<string>, shape: RegExp = /^/) =>
  (difference: Difference): boolean =>
    difference.what === "ours rejects" &&
    reasons.includes(difference.ours) &&
    isLenient(difference) &&
    shape.test(difference.text)

/** Node rejects with that code what looks like this, whatever ours makes of it. */
const nodeRefuses =
  (codes: ReadonlyArray<string>, shape: RegExp) =>
  (difference: Difference): boolean =>
    difference.what === "node rejects" && codes.includes(difference.node) && shape.test(difference.text)

const post = "POST / HTTP/1.1\r\nHost: a\r\n"
const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`

/** The head of a request that offers an upgrade, as Node sees it: both fields, whatever is in `Upgrade`. */
const offer = /^(?=[\s\S]*\r\n(?:proxy-)?connection:[^\r\n]*upgrade)(?=[\s\S]*\r\nupgrade:)/i

/** The head alone, as far as it has come. */
const headOf = (text: string): string => /^(?:\r\n)*(?:[^\r\n][\s\S]*?(?:\r\n\r\n|$))?/.exec(text)?.[0] ?? ""

const strict: ReadonlyArray<Rule> = [
  {
    name: "validated before it is handed out",
    ours: "rejects the head",
    node: "hands the head to its handler, then rejects the same request",
    reason:
      "Both reject. RFC 9112 §6.3: what cannot be framed gets 400; a handler that has seen it may have acted on it.",
    example: `${post}Transfer-Encoding: gzip\r\n\r\n`,
    accepts: (difference) => difference.what === "ours rejects" && difference.isHandedOut && !isLenient(difference)
  },
  {
    name: "what follows an upgrade that is not accepted",
    ours: "reads it: the offer is a plain request",
    node: "drops the rest of what has arrived",
    reason: "RFC 9110 §7.8: a server may ignore Upgrade; then the request is one like any other, and so is the next.",
    example: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    accepts: ({ before, isHandedOut, node, text }) =>
      node === "waits" && offer.test(headOf(isHandedOut ? text : before))
  },
  {
    name: "Host",
    ours: 'rejects a Host that is repeated, or no `uri-host [":" port]`',
    node: "reads the first one, whatever it is",
    reason: "RFC 9112 §3.2: a server MUST respond 400 to more than one Host field, or one with an invalid value.",
    example: "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    accepts: oursRefuses(["Host"])
  },
  {
    name: "empty lines before a request",
    ours: "skips two CRLF at most; a bare CR or LF is rejected, a lone CR waits for its LF",
    node: "skips any number of CR and LF",
    reason: "RFC 9112 §2.2: at least one empty line SHOULD be ignored, and a bare CR is no line end.",
    example: "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    accepts: (difference) =>
      oursRefuses(["RequestLine"], /^(?:\r\n){0,2}[\r\n]/)(difference) ||
      (difference.what === "other extent" && /^(?:\r\n)*\r$/.test(difference.text))
  },
  {
    name: "no version",
    ours: "rejects a request line of two parts",
    node: "reads it as HTTP/0.9, with header fields",
    reason: "RFC 9112 §3: the version is no option. HTTP/0.9 had no fields, and its responses have no head.",
    example: "GET /\r\n\r\n",
    accepts: oursRefuses(["RequestLine"], /^(?:\r\n){0,2}[!-~]+ [^ \r\n]+[\r\n]/)
  },
  {
    name: "CONNECT without a target",
    ours: "rejects the line",
    node: "reads a CONNECT to nowhere, in HTTP/0.9",
    reason: "RFC 9112 §3, §3.2.3: a request line has three parts, and the target of CONNECT is a host and a port.",
    example: "CONNECT \r\nexample.com:443 HTTP/1.1\r\nHost: a\r\n",
    accepts: oursRefuses(["RequestLine"], /^(?:\r\n){0,2}CONNECT [\r\n]/)
  },
  {
    name: "several spaces in a request line",
    ours: "rejects",
    node: "reads",
    reason: "RFC 9112 §3: single spaces. Splitting on one space gives another target than splitting on several.",
    example: "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    accepts: oursRefuses(["RequestLine"], /^(?:\r\n){0,2}[!-~]+ (?: |[^ \r\n]+ {2})/)
  },
  {
    name: "other protocols",
    ours: "rejects",
    node: "reads RTSP and ICE",
    reason: "RFC 9112 §2.3: `HTTP-name` is HTTP.",
    example: "SOURCE / ICE/1.0\r\nHost: a\r\n\r\n",
    accepts: oursRefuses(
      ["RequestLine"],
      /^(?:\r\n){0,2}[!-~]+ [^ \r\n]+ (?:(?:RTSP|ICE)\/|(?:R|RT|RTS|RTSP|I|IC|ICE)$)/
    )
  },
  {
    name: "Target",
    ours: "rejects a fragment, user info, another scheme, and a form that the method does not have",
    node: "reads what has no space or control character in it",
    reason: "RFC 9112 §3.2: four forms, each for its methods; a server SHOULD respond 400 to an invalid request line.",
    example: "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    accepts: oursRefuses(["Target"])
  },
  {
    name: "MethodUnknown",
    ours: "501",
    node: "reads the methods of WebDAV, UPnP, Icecast and more",
    reason:
      "RFC 9110 §9.1: nine methods are implemented, and 501 rejects others, unless `unknownMethods` hands them over.",
    example: "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n",
    accepts: oursRefuses(["MethodUnknown"])
  },
  {
    name: "Version",
    ours: "505",
    node: "reads HTTP/2.0 and HTTP/0.9",
    reason: "RFC 9110 §6.2: the major version is the syntax; another one is not what this parser reads.",
    example: "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    accepts: oursRefuses(["Version"], /^(?:\r\n){0,2}[^\r\n]* HTTP\/[02-9]\.[0-9]\r\n/)
  },
  {
    name: "Transfer-Encoding in HTTP/1.0",
    ours: "rejects",
    node: "reads chunks",
    reason: "RFC 9112 §6.1: the framing is faulty, since a 1.0 peer on the way has read another body.",
    example: "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    accepts: oursRefuses(["TransferEncoding"], /^(?:\r\n)*[^\r\n]* HTTP\/1\.0\r\n/)
  },
  {
    name: "TransferEncoding",
    ours: "rejects an empty coding, an empty member, a coding that is no token",
    node: "looks at the last one only",
    reason: "RFC 9112 §6.1, §7: a list of codings, `chunked` last and once; readers differ on anything else.",
    example: `${post}Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n`,
    accepts: oursRefuses(["TransferEncoding"], /^(?:\r\n)*[^\r\n]* HTTP\/1\.[1-9]\r\n/)
  },
  {
    name: "CodingUnknown",
    ours: "501",
    node: "hands out the body with the coding still on it",
    reason: "RFC 9112 §6.1: a server that does not understand a coding SHOULD respond 501.",
    example: `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    accepts: oursRefuses(["CodingUnknown"])
  },
  {
    name: "Expectation",
    ours: "417 unless every member is 100-continue",
    node: "417 unless 100-continue stands somewhere in it",
    reason: "RFC 9110 §10.1.1: a member other than 100-continue may get 417, whatever accompanies it.",
    example: `${post}Expect: 100-continue, b\r\n\r\n`,
    accepts: oursRefuses(["Expectation"], /\r\nexpect:[^\r\n]*100-continue/i)
  },
  {
    name: "members of Connection and Upgrade",
    ours: "rejects an option that is no token, and an offer that is no protocol",
    node: "looks for the options that it knows",
    reason:
      "RFC 9110 §7.6.1, §7.8: lists of tokens. A parser that unquotes, splits or trims a member sees another one.",
    example: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: "b, close"\r\n\r\n',
    accepts: oursRefuses(["HeaderField"], /\r\n(?:connection|upgrade):/i)
  },
  {
    name: "limits",
    ours: "413, 414, 431, and 400 for chunk extensions",
    node: "has no bound here: its own is another, and set aside",
    reason: "`Limits`: each with its number and reason. A length beyond `maxBody` is rejected before the body comes.",
    example: `${post}Content-Length: 8388609\r\n\r\n`,
    accepts: oursRefuses(["BodyTooLarge", "TargetTooLong", "HeadersTooLarge", "TrailersTooLarge", "ChunkExtensions"])
  },
  {
    name: "digits of a chunk size",
    ours: "rejects the 17th",
    node: "reads any number of zeros",
    reason:
      "A known deviation from RFC 9112 §7.1: the line of a size is bounded, and no body allowed needs more digits.",
    example: `${chunked}00000000000000000\r\n\r\n`,
    accepts: oursRefuses(["Chunk"], /\r\n[0-9a-f]{17,}/i)
  },
  {
    name: "malformed chunk extensions",
    ours: "rejects a semicolon without a name, `=` without a name or a value, and quotes in the middle of a value",
    node: "reads them",
    reason: "RFC 9112 §7.1.1: readers that end such an extension at different bytes find different chunks.",
    example: `${chunked}0;=\r\n\r\n`,
    accepts: oursRefuses(["Chunk"], /\r\n[0-9a-f]+[ \t]*;/i)
  },
  {
    name: "trailers that are dropped",
    ours: "drops names that concern framing, routing, authentication or control",
    node: "hands them out",
    reason: "RFC 9110 §6.5.1: such a field cannot be processed after the head; a handler that merges it would.",
    example: `${chunked}0\r\nCookie: b\r\n\r\n`,
    accepts: ({ what }) => what === "fewer trailers"
  }
]

const lenient: ReadonlyArray<Rule> = [
  {
    name: "HTTP/1.2 to HTTP/1.9",
    ours: "reads it as HTTP/1.1",
    node: "rejects",
    reason: "RFC 9110 §6.2: a higher minor version SHOULD be processed as the highest one that is known.",
    example: "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    accepts: nodeRefuses(["HPE_INVALID_VERSION"], /^(?:\r\n){0,2}[A-Z]+ [^ \r\n]+ HTTP\/1\.[2-9](?:\r|$)/)
  },
  {
    name: "a tab around Content-Length",
    ours: "reads the length",
    node: "rejects",
    reason: "RFC 9110 §5.6.3: optional whitespace is SP and HTAB, before a value and after it.",
    example: `${post}Content-Length:\t1\t\r\n\r\nb`,
    until: "9.4",
    accepts: (difference) =>
      !difference.isHandedOut &&
      nodeRefuses(["HPE_INVALID_CONTENT_LENGTH"], /^/)(difference) &&
      /\r\ncontent-length:(?=[ \t]*\d+[ \t]*\r\n)(?: *\t[ \t]*\d+|[ \t]*\d+ *\t)/i.test(headOf(difference.text))
  },
  {
    name: "a tab after a connection option",
    ours: "continues after an HTTP/1.0 request that asks for it",
    node: "does not see `keep-alive` when a tab follows it, and closes",
    reason: "RFC 9110 §5.6.3, §7.6.1: the same, around every member of the list.",
    example: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\t\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    until: "9.4",
    accepts: (difference) =>
      nodeRefuses(["HPE_CLOSED_CONNECTION"], /^/)(difference) &&
      /^(?:\r\n)*[^\r\n]+ HTTP\/1\.0\r\n/.test(difference.before) &&
      /\r\nconnection:[^\r\n]*keep-alive *\t/i.test(headOf(difference.before))
  },
  {
    name: "a tab after a transfer coding",
    ours: "reads the chunks",
    node: "rejects",
    reason:
      "RFC 9110 §5.6.3: the same. Ours sees the same coding as a parser that trims, and rejects anything else after it.",
    example: `${post}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n`,
    accepts: (difference) =>
      nodeRefuses(["HPE_INVALID_TRANSFER_ENCODING"], /^/)(difference) &&
      /\r\ntransfer-encoding:[ \t]*chunked(?= *\t)[ \t]*\r\n/i.test(headOf(difference.text))
  },
  {
    name: "a head is validated when it is complete",
    ours: "waits for the rest of the head",
    node: "rejects at the first invalid byte",
    reason: "RFC 9112 §3: the response is the same, and the limits and deadlines of a head bound the wait.",
    example: "BREW /",
    accepts: (difference) =>
      difference.ours === "waits" &&
      !difference.isHandedOut &&
      nodeRefuses(
        [
          "HPE_INVALID_METHOD",
          "HPE_INVALID_VERSION",
          "HPE_INVALID_URL",
          "HPE_INVALID_CONTENT_LENGTH",
          "HPE_UNEXPECTED_CONTENT_LENGTH",
          "HPE_INVALID_TRANSFER_ENCODING"
        ],
        /^(?:\r\n){0,2}(?![\s\S]*\r\n\r\n)[!-~]/
      )(difference)
  },
  {
    name: "an Expect without a member",
    ours: "expects nothing",
    node: "417",
    reason: "RFC 9110 §5.6.1.2: empty members of a list MUST be ignored, and none is left.",
    example: `${post}Expect:\r\n\r\n`,
    accepts: (difference) => {
      const values = Array.from(headOf(difference.text).matchAll(/\r\nexpect:([^\r\n]*)/gi), ([, value]) => value ?? "")
      return (
        nodeRefuses(["answered"], /^/)(difference) &&
        values.length > 0 &&
        values.every((each) => /^[ \t,]*$/.test(each))
      )
    }
  },
  {
    name: "framing fields among the trailers",
    ours: "drops them",
    node: "validates them as if they were in the head",
    reason: "RFC 9110 §6.5.1: a trailer cannot frame what has been read; like other names of the kind it is dropped.",
    example: `${chunked}0\r\nContent-Length: 1\r\n\r\n`,
    accepts: (difference) =>
      difference.isHandedOut &&
      nodeRefuses(
        ["HPE_INVALID_CONTENT_LENGTH", "HPE_INVALID_TRANSFER_ENCODING", "HPE_UNEXPECTED_CONTENT_LENGTH"],
        /\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n[\s\S]*\r\n0+[ \t]*(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*(?:content-length|transfer-encoding):/i
      )(difference)
  },
  {
    name: "which field closes a connection",
    ours: "reads the next request: only Connection in the head can say `close`",
    node: "obeys Proxy-Connection, and Connection among the trailers",
    reason:
      "RFC 9112 §9.3, appendix C.2.2: Proxy-Connection is not for servers; a trailer cannot control a connection.",
    example: "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    accepts: (difference) =>
      nodeRefuses(["HPE_CLOSED_CONNECTION"], /^/)(difference) &&
      !/\r\nconnection:[^\r\n]*close/i.test(headOf(difference.before)) &&
      /\r\n(?:proxy-)?connection:[^\r\n]*close/i.test(difference.before)
  },
  {
    name: "whitespace before a chunk extension",
    ours: "reads the chunk",
    node: "rejects",
    reason:
      "RFC 9112 §7.1.1 has bad whitespace there, which MUST be read (RFC 9110 §5.6.3). Without an extension it is rejected.",
    example: `${chunked}0 ;b\r\n\r\n`,
    accepts: nodeRefuses(["HPE_INVALID_CHUNK_SIZE"], /\r\n[0-9a-f]+[ \t]+(?:;[\t -~\x80-\xff]*(?:\r|$)|$)/i)
  },
  {
    name: "whitespace and obs-text within a chunk extension",
    ours: "reads the chunk",
    node: "rejects",
    reason:
      "RFC 9112 §7.1.1: bad whitespace stands around `=` and `;` and MUST be read; a quoted string has obs-text (RFC 9110 §5.6.4).",
    example: `${chunked}0;a = b\r\n\r\n`,
    accepts: nodeRefuses(
      ["HPE_STRICT", "HPE_INVALID_CHUNK_SIZE"],
      /\r\n[0-9a-f]+[ \t]*;(?:[!-~]*[ \t]|[\t -~]*"[\t -~]*[\x80-\xff])[\t -~\x80-\xff]*(?:\r|$)/i
    )
  }
]

export const rules: ReadonlyArray<Rule> = [...strict, ...lenient]

/** Compares as the versions do, as long as a minor version has at most three digits. */
const orderOf = (version: string): number => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major * 1000 + minor
}

const parserVersion = orderOf(process.versions.llhttp ?? "0.0")

/** Whether a difference is one of this version of Node. */
export const isCurrent = ({ until }: Rule): boolean => until === undefined || parserVersion < orderOf(until)

/** The name of the first rule that fits. */
export const classify = (difference: Difference): string | undefined =>
  rules.find((rule) => isCurrent(rule) && rule.accepts(difference))?.name
