/**
 * Responses that the kit's client accepts or rejects, and where Node's client decides otherwise.
 *
 * Texts have one character a byte. A rejected response is cut where it becomes wrong: `valid` has no error yet, and the
 * first byte of `invalid` is one.
 */
import type { ParseErrorCode } from "../../src/testing/internal/client/parseError.js"
import type { RequestContext } from "../../src/testing/internal/client/responseHead.js"

/** The result of Node's client for a response that the kit's client treats differently. */
export interface NodeDiffers {
  /** In the form of `nodeVerdict`. */
  readonly node: string
  readonly because: string
}

interface Case {
  readonly title: string
  readonly request?: Partial<RequestContext>
  readonly differs?: NodeDiffers
}

export interface Accepted extends Case {
  readonly text: string
  readonly status?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly trailers?: Readonly<Record<string, string>>
  /** Without it, the connection's end is the content's. */
  readonly keepAlive?: boolean
  readonly untilClose?: boolean
}

export interface Rejected extends Case {
  readonly code: ParseErrorCode
  readonly valid: string
  readonly invalid: string
}

/** A response without an error, and without an end when its connection ends. */
export interface Truncated extends Case {
  readonly text: string
}

const ok = "HTTP/1.1 200 OK\r\n"
const five = "Content-Length: 5\r\n"
const chunked = "Transfer-Encoding: chunked\r\n"
const hello = `${five}\r\nHello`
const inChunks = `${ok}${chunked}\r\n`
const helloChunk = `${inChunks}5\r\nHello\r\n`

/** The bound of a head, of a trailer section and of a chunk's line. */
const maxSize = 16 * 1024

/** A field line of `size` bytes. */
const fieldOf = (size: number): string => `X: ${"y".repeat(size - 5)}\r\n`

const lenient = "Node's parser reads on, where RFC 9110 or 9112 forbids a server to send this"

const node = (verdict: string, because = lenient): NodeDiffers => ({ node: verdict, because })

const nodeReads = node("200 Hello")

export const accepted: ReadonlyArray<Accepted> = [
  // RFC 9112 §4: the status line.
  { title: "a reason phrase", text: `HTTP/1.1 200 All is well\r\n${hello}` },
  { title: "no reason phrase, and its space", text: `HTTP/1.1 200 \r\n${hello}` },
  { title: "a reason phrase of HTAB and obs-text", text: `HTTP/1.1 200 \t\xe9\xff\r\n${hello}` },
  { title: "the last code that there is", text: `HTTP/1.1 599 \r\n${hello}`, status: 599 },
  { title: "HTTP/1.0, whose connection ends", text: `HTTP/1.0 200 OK\r\n${hello}`, keepAlive: false },
  {
    title: "HTTP/1.0 with keep-alive",
    text: `HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n${hello}`,
    keepAlive: true
  },
  { title: "HTTP/1.0 until its end", text: "HTTP/1.0 200 OK\r\n\r\nHello", untilClose: true },
  // RFC 9112 §5: fields.
  {
    title: "names in any case, and values that are joined",
    text: `${ok}X-A: 1\r\nx-a:2\r\n${hello}`,
    headers: { "x-a": "1, 2", "content-length": "5" }
  },
  {
    title: "optional white space around a value, and none in it lost",
    text: `${ok}A: \t b \t c\t \r\n${hello}`,
    headers: { a: "b \t c", "content-length": "5" }
  },
  { title: "an empty value", text: `${ok}A:\r\nB: \r\n${hello}`, headers: { a: "", b: "", "content-length": "5" } },
  {
    title: "obs-text in a value",
    text: `${ok}A: \x80\xa0\r\n${hello}`,
    headers: { a: "\x80\xa0", "content-length": "5" }
  },
  {
    title: "every character of a token in a name",
    text: `${ok}!#$%&'*+-.^_\`|~09azAZ: x\r\n${hello}`,
    headers: { "!#$%&'*+-.^_`|~09azaz": "x", "content-length": "5" }
  },
  {
    title: "names that objects have",
    text: `${ok}__proto__: a\r\nconstructor: b\r\n${hello}`,
    headers: Object.fromEntries([
      ["__proto__", "a"],
      ["constructor", "b"],
      ["content-length", "5"]
    ])
  },
  { title: "a head of the largest size", text: `${ok}${fieldOf(maxSize - ok.length - 21)}${hello}` },
  // RFC 9112 §6.3: the length of the content.
  { title: "no content", text: `${ok}Content-Length: 0\r\n\r\n`, body: "" },
  { title: "zeros before a length", text: `${ok}Content-Length: 0005\r\n\r\nHello` },
  {
    title: "white space after a length",
    text: `${ok}Content-Length: 5 \r\n\r\nHello`,
    differs: node(
      "HPE_INVALID_CONTENT_LENGTH|200 Hello",
      "Node 20 rejects it; optional white space is no part of a value"
    )
  },
  { title: "neither length nor coding: until its end", text: `${ok}\r\nHello`, untilClose: true },
  { title: "a response to HEAD with a length", text: `${ok}${five}\r\n`, request: { method: "HEAD" }, body: "" },
  { title: "a response to HEAD in chunks", text: `${ok}${chunked}\r\n`, request: { method: "HEAD" }, body: "" },
  { title: "a response to HEAD without framing", text: `${ok}\r\n`, request: { method: "HEAD" }, body: "" },
  { title: "204", text: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, body: "" },
  { title: "304 with a length", text: `HTTP/1.1 304 Not Modified\r\n${five}\r\n`, status: 304, body: "" },
  { title: "304 in chunks", text: `HTTP/1.1 304 Not Modified\r\n${chunked}\r\n`, status: 304, body: "" },
  { title: "205 of length 0", text: "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", status: 205, body: "" },
  { title: "205 in no chunks", text: `HTTP/1.1 205 Reset\r\n${chunked}\r\n0\r\n\r\n`, status: 205, body: "" },
  // RFC 9110 §15.2: interim responses.
  {
    title: "interim responses before it",
    text: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok}${hello}`,
    headers: { "content-length": "5" }
  },
  {
    title: "101 to a request that offers the protocol",
    text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Echo/1\r\n\r\nHello",
    request: { upgrade: "other, echo/1" },
    status: 101,
    untilClose: true
  },
  {
    title: "a tunnel after a successful CONNECT",
    text: "HTTP/1.1 200 Connected\r\n\r\nHello",
    request: { method: "CONNECT" },
    untilClose: true
  },
  {
    title: "a CONNECT that is refused",
    text: `HTTP/1.1 403 Forbidden\r\n${hello}`,
    request: { method: "CONNECT" },
    status: 403
  },
  // RFC 9112 §7.1: chunks.
  { title: "chunks", text: `${inChunks}2\r\nHe\r\n3\r\nllo\r\n0\r\n\r\n` },
  { title: "no chunks but the last", text: `${inChunks}0\r\n\r\n`, body: "" },
  {
    title: "the name of the coding in any case",
    text: `${ok}Transfer-Encoding: CHUNKED\r\n\r\n5\r\nHello\r\n0\r\n\r\n`
  },
  {
    title: "digits in any case",
    text: `${inChunks}B\r\nHello World\r\na\r\n0123456789\r\n0\r\n\r\n`,
    body: "Hello World0123456789"
  },
  { title: "zeros before a size", text: `${inChunks}${"0".repeat(40)}5\r\nHello\r\n000\r\n\r\n` },
  { title: "CRLF in the data", text: `${inChunks}7\r\nHe\r\nllo\r\n0\r\n\r\n`, body: "He\r\nllo" },
  {
    title: "chunk extensions",
    text: `${inChunks}5;a;b=c;d="e;\\"\xe9\\\\\t";f=""\r\nHello\r\n0;last=1\r\n\r\n`
  },
  {
    title: "trailers",
    text: `${helloChunk}0\r\nX-A: 1\r\nx-a: 2\r\nEtag: "x"\r\n\r\n`,
    trailers: { "x-a": "1, 2", etag: '"x"' }
  },
  {
    title: "trailers of the largest size",
    text: `${helloChunk}0\r\n${fieldOf(maxSize - 2)}\r\n`,
    trailers: { x: "y".repeat(maxSize - 7) }
  },
  // RFC 9112 §9.3: persistence.
  { title: "close in a list, in any case", text: `${ok}Connection: x, Close\r\n${hello}`, keepAlive: false },
  { title: "close in a second field", text: `${ok}Connection: x\r\nConnection: close\r\n${hello}`, keepAlive: false },
  { title: "close beside keep-alive", text: `${ok}Connection: keep-alive, close\r\n${hello}`, keepAlive: false },
  { title: "empty members of a list", text: `${ok}Connection: , ,x,\r\n${hello}`, keepAlive: true },
  { title: "an option that only begins like close", text: `${ok}Connection: closed\r\n${hello}`, keepAlive: true }
]

const strict = node("HPE_STRICT", "Node's parser has another code for the same outside of fields")

export const rejected: ReadonlyArray<Rejected> = [
  // RFC 9112 §4: the status line.
  { title: "something else than HTTP", code: "HPE_INVALID_CONSTANT", valid: "", invalid: "garbage" },
  { title: "another protocol", code: "HPE_INVALID_CONSTANT", valid: "H", invalid: "YPER/1.1 200 OK\r\n\r\n" },
  {
    title: "a protocol's name in lower case",
    code: "HPE_INVALID_CONSTANT",
    valid: "",
    invalid: `http/1.1 200 OK\r\n${hello}`
  },
  { title: "white space before the status line", code: "HPE_INVALID_CONSTANT", valid: "", invalid: ` ${ok}${hello}` },
  {
    title: "an empty line before the status line",
    code: "HPE_INVALID_CONSTANT",
    valid: "",
    invalid: `\r\n${ok}${hello}`,
    differs: nodeReads
  },
  { title: "HTTP/1.2", code: "HPE_INVALID_VERSION", valid: "HTTP/1.", invalid: `2 200 OK\r\n${hello}` },
  {
    title: "HTTP/2.0",
    code: "HPE_INVALID_VERSION",
    valid: "HTTP/",
    invalid: `2.0 200 OK\r\n${hello}`,
    differs: nodeReads
  },
  {
    title: "HTTP/0.9",
    code: "HPE_INVALID_VERSION",
    valid: "HTTP/",
    invalid: `0.9 200 OK\r\n${hello}`,
    differs: nodeReads
  },
  { title: "a version without a dot", code: "HPE_INVALID_VERSION", valid: "HTTP/1", invalid: `1 200 OK\r\n${hello}` },
  {
    title: "a version with two dots",
    code: "HPE_INVALID_VERSION",
    valid: "HTTP/1.1",
    invalid: `.1 200 OK\r\n${hello}`
  },
  { title: "HTAB before the code", code: "HPE_INVALID_VERSION", valid: "HTTP/1.1", invalid: `\t200 OK\r\n${hello}` },
  {
    title: "two spaces before the code",
    code: "HPE_INVALID_STATUS",
    valid: "HTTP/1.1 ",
    invalid: ` 200 OK\r\n${hello}`
  },
  { title: "a letter in the code", code: "HPE_INVALID_STATUS", valid: "HTTP/1.1 2", invalid: `x0 OK\r\n${hello}` },
  { title: "a code of two digits", code: "HPE_INVALID_STATUS", valid: "HTTP/1.1 20", invalid: ` OK\r\n${hello}` },
  { title: "a code of four digits", code: "HPE_INVALID_STATUS", valid: "HTTP/1.1 200", invalid: `0 OK\r\n${hello}` },
  {
    title: "a code below 100",
    code: "HPE_INVALID_STATUS",
    valid: "HTTP/1.1 ",
    invalid: `099 OK\r\n${hello}`,
    differs: node("99 Hello")
  },
  {
    title: "a code above 599",
    code: "HPE_INVALID_STATUS",
    valid: "HTTP/1.1 ",
    invalid: `600 OK\r\n${hello}`,
    differs: node("600 Hello")
  },
  { title: "HTAB after the code", code: "HPE_INVALID_STATUS", valid: "HTTP/1.1 200", invalid: `\tOK\r\n${hello}` },
  {
    title: "no space after the code",
    code: "HPE_INVALID_STATUS",
    valid: "HTTP/1.1 200",
    invalid: `\r\n${hello}`,
    differs: nodeReads
  },
  {
    title: "NUL in the reason phrase",
    code: "HPE_INVALID_STATUS",
    valid: "HTTP/1.1 200 O",
    invalid: `\0K\r\n${hello}`,
    differs: nodeReads
  },
  {
    title: "a bare LF after the status line",
    code: "HPE_CR_EXPECTED",
    valid: "HTTP/1.1 200 OK",
    invalid: `\n${hello}`
  },
  { title: "a bare CR in the status line", code: "HPE_STRICT", valid: "HTTP/1.1 200 O\r", invalid: `K\r\n${hello}` },
  {
    title: "a status line that is too long",
    code: "HPE_HEADER_OVERFLOW",
    valid: `HTTP/1.1 200 ${"x".repeat(maxSize - 14)}`,
    invalid: "xxxxxxxxxxxxxx"
  },
  // RFC 9112 §5: fields.
  { title: "a space before a colon", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A`, invalid: ` : b\r\n${hello}` },
  { title: "HTAB before a colon", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A`, invalid: `\t: b\r\n${hello}` },
  {
    title: "a space between Content-Length and its colon",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${ok}Content-Length`,
    invalid: " : 5\r\n\r\nHello"
  },
  { title: "a line without a colon", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}Abc`, invalid: `\r\n${hello}` },
  { title: "an empty name", code: "HPE_INVALID_HEADER_TOKEN", valid: ok, invalid: `: b\r\n${hello}` },
  { title: "obs-text in a name", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A`, invalid: `\xe9: b\r\n${hello}` },
  { title: "a delimiter in a name", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A`, invalid: `(b): c\r\n${hello}` },
  {
    title: "white space before the first field",
    code: "HPE_UNEXPECTED_SPACE",
    valid: ok,
    invalid: ` A: b\r\n${hello}`
  },
  { title: "a folded line", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A: b\r\n`, invalid: ` c\r\n${hello}` },
  {
    title: "a line folded by HTAB",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${ok}A: b\r\n`,
    invalid: `\tc\r\n${hello}`
  },
  { title: "NUL in a value", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A: b`, invalid: `\0c\r\n${hello}` },
  { title: "ESC in a value", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A: b`, invalid: `\x1bc\r\n${hello}` },
  { title: "DEL in a value", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}A: b`, invalid: `\x7fc\r\n${hello}` },
  { title: "a bare LF after a field", code: "HPE_CR_EXPECTED", valid: `${ok}A: b`, invalid: `\n${hello}` },
  { title: "a bare CR in a field", code: "HPE_LF_EXPECTED", valid: `${ok}A: b\r`, invalid: `c\r\n${hello}` },
  {
    title: "a bare LF instead of the empty line",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: ok + five,
    invalid: "\nHello"
  },
  {
    title: "a bare CR instead of the empty line",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${ok}${five}\r`,
    invalid: "Hello",
    differs: strict
  },
  { title: "no empty line", code: "HPE_INVALID_HEADER_TOKEN", valid: `${ok}${five}Hello`, invalid: " World\r\n" },
  {
    title: "a head that is too large",
    code: "HPE_HEADER_OVERFLOW",
    valid: `${ok}X: ${"y".repeat(maxSize - ok.length - 4)}`,
    invalid: `${"y".repeat(30)}\r\n${hello}`
  },
  {
    title: "fields that are together too large",
    code: "HPE_HEADER_OVERFLOW",
    valid: ok + `${fieldOf(1000)}`.repeat(16) + "X".repeat(maxSize - ok.length - 16_000 - 1),
    invalid: `${"X".repeat(400)}: y\r\n${hello}`
  },
  {
    title: "a list of connection options without a comma",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${ok}Connection: close keep-alive\r`,
    invalid: `\n${hello}`,
    differs: nodeReads
  },
  // RFC 9112 §6.2: Content-Length.
  {
    title: "two equal lengths",
    code: "HPE_UNEXPECTED_CONTENT_LENGTH",
    valid: `${ok}${five}Content-Length: 5\r`,
    invalid: "\n\r\nHello"
  },
  {
    title: "two different lengths",
    code: "HPE_UNEXPECTED_CONTENT_LENGTH",
    valid: `${ok}${five}Content-Length: 6\r`,
    invalid: "\n\r\nHello"
  },
  ...["5, 5", "-5", "+5", "0x5", "5.0", "5e0", "5 5", "five", "", "\xb2", "9".repeat(30)].map(
    (value): Rejected => ({
      title: `a length that is ${JSON.stringify(value)}`,
      code: "HPE_INVALID_CONTENT_LENGTH",
      valid: `${ok}Content-Length: ${value}\r`,
      invalid: "\n\r\nHello"
    })
  ),
  {
    title: "a length beyond the safe integers",
    code: "HPE_INVALID_CONTENT_LENGTH",
    valid: `${ok}Content-Length: 9007199254740993\r`,
    invalid: "\n\r\nHello",
    differs: node("200, then ECONNRESET", "Node's parser counts in 64 bits")
  },
  {
    title: "a length beside a coding",
    code: "HPE_INVALID_CONTENT_LENGTH",
    valid: `${ok}${chunked}Content-Length: 5\r`,
    invalid: "\n\r\n5\r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "a coding beside a length",
    code: "HPE_INVALID_TRANSFER_ENCODING",
    valid: `${ok}${five}Transfer-Encoding: chunked\r`,
    invalid: "\n\r\n5\r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "both in a response to HEAD",
    code: "HPE_INVALID_TRANSFER_ENCODING",
    request: { method: "HEAD" },
    valid: `${ok}${five}Transfer-Encoding: chunked\r`,
    invalid: "\n\r\n"
  },
  ...["1.1 204 No Content", "1.0 204 No Content", "1.1 103 Early Hints"].map(
    (line): Rejected => ({
      title: `a length in ${line}`,
      code: "HPE_UNEXPECTED_CONTENT_LENGTH",
      valid: `HTTP/${line}\r\n${five}\r`,
      invalid: `\n${line.includes("103") ? ok + hello : ""}`,
      differs: line.includes("103") ? nodeReads : node("204 ")
    })
  ),
  {
    title: "a length after a successful CONNECT",
    code: "HPE_UNEXPECTED_CONTENT_LENGTH",
    request: { method: "CONNECT" },
    valid: `${ok}${five}\r`,
    invalid: "\nHello",
    differs: nodeReads
  },
  {
    title: "a length in 205",
    code: "HPE_UNEXPECTED_CONTENT_LENGTH",
    valid: `HTTP/1.1 205 Reset\r\n${five}\r`,
    invalid: "\nHello",
    differs: node("205 Hello")
  },
  // RFC 9112 §6.1: Transfer-Encoding.
  ...[
    { value: "gzip, chunked", verdict: "200 Hello" },
    { value: "chunked, gzip", verdict: "200 5\r\nHello\r\n0\r\n\r\n" },
    { value: "gzip", verdict: "200 5\r\nHello\r\n0\r\n\r\n" },
    { value: "identity", verdict: "200 5\r\nHello\r\n0\r\n\r\n" },
    { value: "chunked, chunked", verdict: "200 Hello" },
    { value: "chunked;a=b", verdict: "200 5\r\nHello\r\n0\r\n\r\n" },
    { value: "xchunked", verdict: "200 5\r\nHello\r\n0\r\n\r\n" },
    { value: "chunked\r\nTransfer-Encoding: chunked", verdict: "200 Hello" }
  ].map(
    ({ value, verdict }): Rejected => ({
      title: `the coding ${JSON.stringify(value)}`,
      code: "HPE_INVALID_TRANSFER_ENCODING",
      valid: `${ok}Transfer-Encoding: ${value}\r`,
      invalid: "\n\r\n5\r\nHello\r\n0\r\n\r\n",
      differs: node(verdict, "no request offers a coding, so the client would not decode it; Node's does not either")
    })
  ),
  {
    title: "an empty coding",
    code: "HPE_INVALID_TRANSFER_ENCODING",
    valid: `${ok}Transfer-Encoding:\r`,
    invalid: "\n\r\nHello",
    differs: node("200 Hello|HPE_INVALID_TRANSFER_ENCODING", "Node 20 takes it for none")
  },
  {
    title: "chunks in HTTP/1.0",
    code: "HPE_INVALID_TRANSFER_ENCODING",
    valid: `HTTP/1.0 200 OK\r\n${chunked}\r`,
    invalid: "\n5\r\nHello\r\n0\r\n\r\n",
    differs: nodeReads
  },
  {
    title: "chunks in 204",
    code: "HPE_INVALID_TRANSFER_ENCODING",
    valid: `HTTP/1.1 204 No Content\r\n${chunked}\r`,
    invalid: "\n",
    differs: node("204 ")
  },
  {
    title: "chunks in 103",
    code: "HPE_INVALID_TRANSFER_ENCODING",
    valid: `HTTP/1.1 103 Early Hints\r\n${chunked}\r`,
    invalid: `\n${ok}${hello}`,
    differs: nodeReads
  },
  // RFC 9110 §15.2: interim responses, and other protocols.
  {
    title: "close in an interim response",
    code: "HPE_CLOSED_CONNECTION",
    valid: "HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r",
    invalid: `\n${ok}${hello}`
  },
  {
    title: "content after an interim response",
    code: "HPE_INVALID_CONSTANT",
    valid: "HTTP/1.1 103 Early Hints\r\n\r\nH",
    invalid: `ello${ok}${hello}`
  },
  ...[
    {
      title: "101 to a request that offers nothing",
      upgrade: undefined,
      fields: "Upgrade: echo\r\nConnection: upgrade\r\n"
    },
    {
      title: "101 to a request that offers another protocol",
      upgrade: "echo",
      fields: "Upgrade: other\r\nConnection: upgrade\r\n"
    },
    { title: "101 without a protocol", upgrade: "echo", fields: "Connection: upgrade\r\n" },
    { title: "101 without the connection option", upgrade: "echo", fields: "Upgrade: echo\r\n" }
  ].map(
    ({ fields, title, upgrade }): Rejected => ({
      title,
      code: "HPE_INVALID_STATUS",
      request: { upgrade },
      valid: `HTTP/1.1 101 Switching Protocols\r\n${fields}\r`,
      invalid: "\nHello",
      differs: node(
        fields.startsWith("Upgrade") && fields.includes("Connection") ? "101 Hello" : "101 ",
        "Node compares no protocols"
      )
    })
  ),
  // RFC 9112 §6.3: what follows a response that has ended.
  {
    title: "content after HEAD",
    code: "HPE_INVALID_CONSTANT",
    request: { method: "HEAD" },
    valid: `${ok}${five}\r\n`,
    invalid: "Hello"
  },
  {
    title: "chunks after HEAD",
    code: "HPE_INVALID_CONSTANT",
    request: { method: "HEAD" },
    valid: `${ok}${chunked}\r\n`,
    invalid: "0\r\n\r\n"
  },
  {
    title: "content after 204",
    code: "HPE_INVALID_CONSTANT",
    valid: "HTTP/1.1 204 No Content\r\n\r\n",
    invalid: "Hello"
  },
  {
    title: "content after 304",
    code: "HPE_INVALID_CONSTANT",
    valid: `HTTP/1.1 304 Not Modified\r\n${five}\r\n`,
    invalid: "Hello"
  },
  {
    title: "chunks with content in 205",
    code: "HPE_INVALID_CONSTANT",
    valid: `HTTP/1.1 205 Reset\r\n${chunked}\r\n5\r\n`,
    invalid: "Hello\r\n0\r\n\r\n",
    differs: node("205 Hello")
  },
  { title: "more than the length", code: "HPE_INVALID_CONSTANT", valid: ok + hello, invalid: "!" },
  {
    title: "more than the chunks",
    code: "HPE_INVALID_CONSTANT",
    valid: `${helloChunk}0\r\n\r\n`,
    invalid: "0\r\n\r\n"
  },
  {
    title: "an empty line after the content",
    code: "HPE_INVALID_CONSTANT",
    valid: ok + hello,
    invalid: "\r\n",
    differs: nodeReads
  },
  {
    title: "a second response",
    code: "HPE_INVALID_CONSTANT",
    valid: ok + hello,
    invalid: ok + hello,
    differs: nodeReads
  },
  {
    title: "content after a response with close",
    code: "HPE_CLOSED_CONNECTION",
    valid: `${ok}Connection: close\r\n${hello}`,
    invalid: "!"
  },
  // RFC 9112 §7.1: chunks.
  { title: "no digit of a chunk's size", code: "HPE_INVALID_CHUNK_SIZE", valid: inChunks, invalid: "zz\r\n" },
  { title: "an empty size", code: "HPE_INVALID_CHUNK_SIZE", valid: inChunks, invalid: "\r\nHello\r\n0\r\n\r\n" },
  {
    title: "a size with 0x",
    code: "HPE_INVALID_CHUNK_SIZE",
    valid: `${inChunks}0`,
    invalid: "x5\r\nHello\r\n0\r\n\r\n"
  },
  { title: "a negative size", code: "HPE_INVALID_CHUNK_SIZE", valid: inChunks, invalid: "-5\r\nHello\r\n0\r\n\r\n" },
  {
    title: "a space before a size",
    code: "HPE_INVALID_CHUNK_SIZE",
    valid: inChunks,
    invalid: " 5\r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "a space after a size",
    code: "HPE_INVALID_CHUNK_SIZE",
    valid: `${inChunks}5`,
    invalid: " \r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "a size beyond 64 bits",
    code: "HPE_INVALID_CHUNK_SIZE",
    valid: `${inChunks}fffffffffffffffff\r`,
    invalid: "\nHello"
  },
  {
    title: "a size beyond the safe integers",
    code: "HPE_INVALID_CHUNK_SIZE",
    valid: `${inChunks}20000000000000\r`,
    invalid: "\nHello",
    differs: node("200, then ECONNRESET", "Node's parser counts in 64 bits")
  },
  { title: "a size that is too small", code: "HPE_STRICT", valid: `${inChunks}4\r\nHell`, invalid: "o\r\n0\r\n\r\n" },
  {
    title: "a size that is too large",
    code: "HPE_CR_EXPECTED",
    valid: `${inChunks}6\r\nHello\r`,
    invalid: "\n0\r\n\r\n"
  },
  { title: "a bare LF after a size", code: "HPE_CR_EXPECTED", valid: `${inChunks}5`, invalid: "\nHello\r\n0\r\n\r\n" },
  { title: "a bare CR after a size", code: "HPE_STRICT", valid: `${inChunks}5\r`, invalid: "xHello\r\n0\r\n\r\n" },
  { title: "a bare LF after data", code: "HPE_CR_EXPECTED", valid: `${inChunks}5\r\nHello`, invalid: "\n0\r\n\r\n" },
  { title: "a bare CR after data", code: "HPE_STRICT", valid: `${inChunks}5\r\nHello\r`, invalid: "0\r\n\r\n" },
  { title: "no line end after data", code: "HPE_STRICT", valid: `${inChunks}5\r\nHello`, invalid: "0\r\n\r\n" },
  { title: "a bare LF after the last size", code: "HPE_CR_EXPECTED", valid: `${helloChunk}0`, invalid: "\n\r\n" },
  {
    title: "a bare LF after the last chunk",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${helloChunk}0\r\n`,
    invalid: "\n"
  },
  {
    title: "a space before an extension",
    code: "HPE_INVALID_CHUNK_SIZE",
    valid: `${inChunks}5`,
    invalid: " ;a=b\r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "a space in an extension",
    code: "HPE_STRICT",
    valid: `${inChunks}5;`,
    invalid: " a=b\r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "a space after an extension",
    code: "HPE_STRICT",
    valid: `${inChunks}5;a=b`,
    invalid: " \r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "an extension without a name",
    code: "HPE_STRICT",
    valid: `${inChunks}5;`,
    invalid: "\r\nHello\r\n0\r\n\r\n"
  },
  {
    title: "an extension without the value it announces",
    code: "HPE_STRICT",
    valid: `${inChunks}5;a=`,
    invalid: "\r\nHello\r\n0\r\n\r\n",
    differs: nodeReads
  },
  {
    title: "an open quote in an extension",
    code: "HPE_STRICT",
    valid: `${inChunks}5;a="b`,
    invalid: "\r\nHello\r\n0\r\n\r\n"
  },
  { title: "text after a quote", code: "HPE_STRICT", valid: `${inChunks}5;a="b"`, invalid: "c\r\nHello\r\n0\r\n\r\n" },
  { title: "NUL in an extension", code: "HPE_STRICT", valid: `${inChunks}5;a=b`, invalid: "\0\r\nHello\r\n0\r\n\r\n" },
  {
    title: "a bare LF after an extension",
    code: "HPE_CR_EXPECTED",
    valid: `${inChunks}5;a=b`,
    invalid: "\nHello\r\n0\r\n\r\n"
  },
  {
    title: "a chunk extension that is too long",
    code: "HPE_CHUNK_EXTENSIONS_OVERFLOW",
    valid: `${inChunks}5;a=${"b".repeat(maxSize - 5)}`,
    invalid: `${"b".repeat(30)}\r\nHello\r\n0\r\n\r\n`
  },
  // RFC 9112 §7.1.2: the trailer section.
  {
    title: "a space in a trailer's name",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${helloChunk}0\r\nX`,
    invalid: " y: z\r\n\r\n"
  },
  {
    title: "a space before a trailer's colon",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${helloChunk}0\r\nX`,
    invalid: " : y\r\n\r\n"
  },
  {
    title: "white space before the first trailer",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${helloChunk}0\r\n`,
    invalid: " X: y\r\n\r\n"
  },
  {
    title: "a folded trailer",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${helloChunk}0\r\nX: y\r\n`,
    invalid: " z\r\n\r\n"
  },
  { title: "a bare LF after a trailer", code: "HPE_CR_EXPECTED", valid: `${helloChunk}0\r\nX: y`, invalid: "\n\r\n" },
  {
    title: "NUL in a trailer",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${helloChunk}0\r\nX: `,
    invalid: "\0\r\n\r\n"
  },
  {
    title: "Content-Length as a trailer",
    code: "HPE_INVALID_CONTENT_LENGTH",
    valid: `${helloChunk}0\r\nContent-Length: 5\r`,
    invalid: "\n\r\n"
  },
  {
    title: "Transfer-Encoding as a trailer",
    code: "HPE_INVALID_TRANSFER_ENCODING",
    valid: `${helloChunk}0\r\nTransfer-Encoding: chunked\r`,
    invalid: "\n\r\n",
    differs: nodeReads
  },
  {
    title: "a field of the header section as a trailer",
    code: "HPE_INVALID_HEADER_TOKEN",
    valid: `${helloChunk}0\r\nSet-Cookie: a=b\r`,
    invalid: "\n\r\n",
    differs: nodeReads
  },
  {
    title: "a trailer section that is too large",
    code: "HPE_HEADER_OVERFLOW",
    valid: `${helloChunk}0\r\nX: ${"y".repeat(maxSize - 4)}`,
    invalid: `${"y".repeat(30)}\r\n\r\n`
  }
]

export const truncated: ReadonlyArray<Truncated> = [
  { title: "nothing", text: "" },
  { title: "a status line that ends early", text: "HTTP/1.1 200 O" },
  { title: "a status line without its LF", text: "HTTP/1.1 200 OK\r" },
  { title: "a head that ends in a field", text: `${ok}Content-` },
  { title: "a head without its empty line", text: `${ok}${five}` },
  { title: "a head without its last LF", text: `${ok}${five}\r` },
  { title: "an interim response alone", text: "HTTP/1.1 100 Continue\r\n\r\n" },
  { title: "less than the length", text: `${ok}${five}\r\nHell` },
  { title: "nothing of the length", text: `${ok}${five}\r\n` },
  { title: "a chunk that ends early", text: `${inChunks}5\r\nHell` },
  { title: "a chunk without its line end", text: `${inChunks}5\r\nHello` },
  { title: "chunks without the last", text: helloChunk },
  { title: "a last chunk without its line end", text: `${helloChunk}0` },
  { title: "a last chunk without the empty line", text: `${helloChunk}0\r\n` },
  { title: "a trailer section that ends early", text: `${helloChunk}0\r\nX: y\r\n` }
]
