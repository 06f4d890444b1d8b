/** Rejected chunks and trailers (RFC 9112 §7.1). */
import { helloChunk, inChunks, maxSize, node, nodeReads, type Rejected } from "./cases.js"

export const rejectedChunks: ReadonlyArray<Rejected> = [
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
