/** Rejected status lines and fields (RFC 9112 §4, §5). */
import { fieldOf, five, hello, maxSize, node, nodeReads, ok, type Rejected, strict } from "./cases.js"

export const rejectedHeads: ReadonlyArray<Rejected> = [
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
  }
]
