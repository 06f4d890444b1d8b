/** Rejected lengths, codings and interim responses, and content after the end of a response (RFC 9112 §6). */
import { chunked, five, hello, helloChunk, node, nodeReads, ok, type Rejected } from "./cases.js"

export const rejectedFraming: ReadonlyArray<Rejected> = [
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
  }
]
