/** Responses that the client accepts. */
import { type Accepted, chunked, fieldOf, five, hello, helloChunk, inChunks, maxSize, node, ok } from "./cases.js"

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
