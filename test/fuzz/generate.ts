/**
 * Messages to try: fixtures, alone or after each other, with some things changed that a parser may stumble over. What
 * message a number stands for depends on the seed and the number alone.
 */
import { malformed } from "../fixtures/messages/malformed.js"
import { wellFormed } from "../fixtures/messages/wellFormed.js"
import { meaningful, mutated } from "./mutation.js"
import { mixed, Random } from "./random.js"

/** A message, as it is sent: in these segments. */
export interface Trial {
  readonly bytes: Buffer
  readonly segments: ReadonlyArray<Buffer>
}

// The limits of every row here are the default ones: the server that runs has only those.
const seeds = [...wellFormed, ...malformed].filter(({ limits }) => Object.keys(limits).length === 0)
const good = wellFormed.map(({ bytes }) => bytes.toString("latin1"))
const all = seeds.map(({ bytes }) => bytes.toString("latin1"))

const lineEnds = ["\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", "\r\n ", "\r\n\t", " \r\n", "\0\r\n", ""]
const blanks = [" ", "\t", "  ", " \t", "\v", "\f", "\xa0", "\x85", "\0", "\r", "\n", "\x1c", "\x7f"]
const targets = [
  ..."/ * /a?b //a/b /.. /%00 /a#b ?a a:80 a http://a http://a/b?c HTTP://a http://u@a/ ftp://a/ https://[::1]:1/".split(
    " "
  ),
  ..."http:///a http://a:x/ /\xff /\x7f /\t [::1]:1 urn:a http://a,b/ http://a%2fb/ /a\\b /{} http://a\\b/".split(" "),
  ""
]
const methods =
  "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH get GETS QUERY PROPFIND M-SEARCH PRI SOURCE BREW \xc7ET G(T".split(
    " "
  )
const versions = [
  ..."HTTP/1.1 HTTP/1.0 HTTP/1.2 HTTP/1.9 HTTP/2.0 HTTP/0.9 HTTP/1.10 HTTP/1 HTTP/3 http/1.1 HTTP/1,1 HTTP/11 RTSP/1.0".split(
    " "
  ),
  "HTTP/ 1.1",
  "ICE/1.0",
  ""
]
const names = [
  ..."Host Content-Length Transfer-Encoding Connection Upgrade Expect TE Trailer Keep-Alive Proxy-Connection X".split(
    " "
  ),
  ..."Content-Length\0 Content_Length Transfer_Encoding Cookie content-length HOST tRANSFER-eNCODING Content-Type".split(
    " "
  ),
  ""
]
const values = [
  ..."chunked close keep-alive upgrade gzip identity 100-continue websocket a example.org 0 1 5 +5 -1 0x5 05 5,5 1e1".split(
    " "
  ),
  ..."18446744073709551616 99999999999999999999 4294967297 9007199254740993 8388608 8388609 5;a h2c trailers".split(
    " "
  ),
  "chunked, chunked",
  "gzip, chunked",
  "chunked, identity",
  "chunked,",
  ",chunked",
  "identity, chunked",
  "chunked;a=b",
  "chunked ;a",
  '"chunked"',
  "xchunked",
  "CHUNKED",
  "\tchunked\t",
  "\x0bchunked",
  "chunked\0",
  "chu nked",
  "keep-alive, close",
  "Upgrade, close",
  "5 5",
  "5, 5",
  "",
  " ",
  ",",
  "a, b",
  "a@b",
  "a:b",
  "[::1"
]
const fields = [
  "Content-Length: 5",
  "Content-Length: 0",
  "Content-Length: 3\r\nContent-Length: 3",
  "Content-Length:5",
  "Content-Length : 5",
  "Content-Length\t: 5",
  " Content-Length: 5",
  "Content-Length: 1\r\n 2",
  "Content-Length: 5\nX: y",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding:chunked",
  "Transfer-Encoding:\tchunked",
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
  "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding\0: chunked",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rTransfer-Encoding: chunked",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: upgrade\r\nUpgrade: websocket",
  "Connection: Content-Length",
  "Connection: Transfer-Encoding, close",
  "Host: b",
  "Expect: 100-continue",
  "Expect: x",
  "Upgrade: h2c",
  'Connection: "a, close"',
  'Connection: upgrade\r\nUpgrade: "a, h2c"',
  "X",
  ": y",
  "X:",
  "(: y"
]
const sizes = [
  ..."0 00 1 2 5 a A 0a f ff 000000000000000001 0000000000000005 00000000000000005 ffffffffffffffff 10000000000000000".split(
    " "
  ),
  ...'800001 -1 +1 0x1 1; 1;a=b ;a 1;a="\\" g 5_0 1e 1,1 7fffffffffffffff 8000000000000000 100000005'.split(" "),
  "",
  " 1",
  "1 ",
  "1\t",
  "1 ;a",
  "1\n",
  "1;\n",
  "1;a\r",
  "1;\0",
  "1 1"
]

/** What the extensions of a chunk are made of, right and wrong. */
const partsOfExtensions = [
  ";",
  ";a",
  ";a=b",
  ' ; a = "b;c"',
  "=",
  "b",
  '"',
  "\\",
  '\\"',
  " ",
  "\t",
  ",",
  "\xfc",
  "\x7f"
]

type Change = (text: string, random: Random) => string

const splice = (text: string, from: number, to: number, by: string): string => text.slice(0, from) + by + text.slice(to)

/** One of the places where a pattern is found gets something else. */
const replaceOne =
  (pattern: RegExp, by: (found: string, random: Random) => string): Change =>
  (text, random) => {
    const found = Array.from(text.matchAll(pattern))
    if (found.length === 0) return text
    const match = random.pick(found)
    return splice(text, match.index, match.index + match[0].length, by(match[0], random))
  }

const anyOf =
  (from: ReadonlyArray<string>) =>
  (_: string, random: Random): string =>
    random.pick(from)

const turned = (word: string, random: Random): string =>
  Array.from(word, (char) =>
    random.oneIn(3) ? (/[a-z]/.test(char) ? char.toUpperCase() : char.toLowerCase()) : char
  ).join("")

const addField: Change = (text, random) =>
  replaceOne(/\r\n/g, (end) => `${end}${random.pick(fields)}\r\n`)(text, random)

const fieldLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n]*\r\n/gm

const changes: ReadonlyArray<Change> = [
  // Of the request line.
  replaceOne(/^[A-Z]+(?= )/gm, anyOf(methods)),
  replaceOne(/(?<= )[^ \r\n]*(?= HTTP\/)/g, anyOf(targets)),
  replaceOne(/HTTP\/[0-9.]*/g, anyOf(versions)),
  // Of field lines.
  addField,
  addField,
  replaceOne(/^[!-9;-~]+(?=:)/gm, anyOf(names)),
  replaceOne(/(?<=: ?)[^\r\n]*(?=\r\n)/g, anyOf(values)),
  replaceOne(fieldLine, () => ""),
  replaceOne(fieldLine, (line) => line + line),
  replaceOne(fieldLine, (line, random) => turned(line, random)),
  replaceOne(/:/g, (_, random) => random.pick([" :", "\t:", "", "::", ":\r\n ", ":\0", ": \v", ";", ":,"])),
  replaceOne(/, ?|(?<=: )/g, (_, random) => random.pick([",,", " , ", ",\t", "\t,", ",", ";", " "])),
  // Of chunks.
  replaceOne(/^[0-9a-fA-F]+(?=[\r; ])/gm, anyOf(sizes)),
  replaceOne(/^[0-9a-fA-F]+(?=[\r; ])/gm, (size, random) => size + random.pick(blanks)),
  replaceOne(/(?<=^[0-9a-fA-F]+)[ \t]*(?:;[^\r\n]*)?(?=\r\n)/gm, (extensions, random) => {
    const parts = Array.from({ length: 1 + random.below(6) }, () => random.pick(partsOfExtensions))
    return random.pick([extensions, ""]) + parts.join("")
  }),
  // Of lines, and of anything.
  replaceOne(/\r\n/g, anyOf(lineEnds)),
  replaceOne(/\r\n/g, anyOf(lineEnds)),
  replaceOne(/\b|[ \t:,;]/g, (found, random) => found + random.pick(blanks)),
  (text, random) => {
    const at = random.below(text.length + 1)
    return splice(text, at, at, random.pick([...values, ...fields, ...sizes, ...lineEnds, ...blanks]))
  },
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text, random) => {
    const other = random.pick(all)
    return text.slice(0, random.below(text.length + 1)) + other.slice(random.below(other.length + 1))
  }
]

/** Rare, since long messages are slow: something short so often that a limit is near. */
const oversize: Change = replaceOne(/[!-~]|[^\r\n]*\r\n/g, (found, random) =>
  found.repeat(random.pick([33, 100, 101, 1000, 4100, 8200, 16_400, 33_000])).slice(0, 40_000)
)

const byteLevel: Change = (text, random) => {
  const at = random.below(text.length + 1)
  const byte = random.oneIn(2) ? random.pick(Array.from(meaningful)) : random.below(256)
  const changed = mutated(
    Buffer.from(text, "latin1"),
    random.pick([
      { _tag: "Replace", at, byte },
      { _tag: "Insert", at, byte },
      { _tag: "Delete", at },
      { _tag: "Duplicate", at, length: 1 + random.below(30) },
      { _tag: "Swap", at, with: random.below(text.length + 1) }
    ] as const)
  )
  return changed.toString("latin1")
}

const cutRandomly = (bytes: Buffer, random: Random): ReadonlyArray<Buffer> => {
  if (random.oneIn(3)) return [bytes]
  const segments: Array<Buffer> = []
  const most = random.oneIn(4) ? 1 : 1 + random.below(bytes.length + 1)
  // Beyond a few hundred segments, one more adds nothing.
  for (let at = 0; at < bytes.length; ) {
    const size = segments.length > 300 ? bytes.length : 1 + random.below(most)
    segments.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
  return segments
}

/** The message of that number. */
export const run = (seed: number, index: number): Trial => {
  const random = new Random(mixed(seed, index))
  const start = random.oneIn(3) ? random.pick(all) : random.pick(good)
  let text = random.oneIn(4) ? random.pick(good) + start : start
  if (random.oneIn(3)) text += random.pick(good)
  for (let left = 1 + random.below(4); left > 0; left--) {
    const change = random.oneIn(150) ? oversize : random.oneIn(4) ? byteLevel : random.pick(changes)
    text = change(text, random)
  }
  const bytes = Buffer.from(text, "latin1")
  return { bytes, segments: cutRandomly(bytes, random) }
}
