/**
 * The lines of a response as regular expressions, after the grammar of RFC 9110 §5 and RFC 9112 §4, §5 and §7.1.
 *
 * Each pattern matches one line with its CRLF. Adjacent parts share no first character, so that a failed match is
 * linear.
 */
import { type ParseError, type ParseErrorCode, parseError } from "./parseError.js"

/** RFC 9110 §5.6.2. */
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

/** HTAB, SP, VCHAR and obs-text: field values (RFC 9110 §5.5) and reason phrases (RFC 9112 §4). */
const text = "[\\t\\x20-\\x7e\\x80-\\xff]*"

/** What a quoted string consists of (RFC 9110 §5.6.4). */
const quotedText = "(?:[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])"

/** Without the "bad" white space of RFC 9112 §7.1.1: no sender may write it, and Node's parser rejects it. */
const extension = `;${token}(?:=(?:${token}|"${quotedText}*"))?`

/** One kind of line. */
export interface LineSyntax {
  readonly pattern: RegExp
  /** An incomplete line is valid if one of these completes it. */
  readonly completions: (cut: string) => ReadonlyArray<string>
  /** A short text with the same completions, so that a line which arrives byte by byte is not matched anew each time. */
  readonly shorten: (cut: string) => string
  /** Why a text is not such a line, and cannot become one. */
  readonly errorOf: (text: string) => ParseError
}

/** What follows the longest match of a pattern. */
const after = (pattern: RegExp, text: string): string => text.slice(pattern.exec(text)?.[0].length ?? 0)

const leadingToken = new RegExp(`^${token}`)
const leadingText = new RegExp(`^${text}`)
const leadingDigits = /^[0-9A-Fa-f]+/

/** The error of a line that continues with something other than CRLF. */
const lineEndError = (rest: string, line: string, bareCR: ParseErrorCode, other: ParseErrorCode): ParseError => {
  if (rest.startsWith("\n")) return parseError("HPE_CR_EXPECTED", "LF without CR", line)
  return rest.startsWith("\r")
    ? parseError(bareCR, "CR without LF", line)
    : parseError(other, "Control character", line)
}

const afterCR = (cut: string): string => (cut.endsWith("\r") ? "\r" : "")

const shortestStatusLine = "HTTP/1.1 200 \r\n"

/** Characters before a reason phrase. */
const statusLength = 13

/**
 * The space after the code is required: a server must send it even when there is no phrase (RFC 9112 §4). Codes are
 * 100 to 599 (RFC 9110 §15).
 */
export const statusLine: LineSyntax = {
  pattern: new RegExp(`^HTTP/1\\.[01] [1-5][0-9]{2} ${text}\\r\\n$`),
  completions: (cut) => [shortestStatusLine.slice(cut.length), "\r\n", "\n"],
  shorten: (cut) => (cut.length <= statusLength ? cut : cut.slice(0, statusLength) + afterCR(cut)),
  errorOf: (line) => {
    const whole = line + shortestStatusLine.slice(line.length)
    if (!whole.startsWith("HTTP/")) return parseError("HPE_INVALID_CONSTANT", "Expected HTTP/", line)
    if (!/^.{5}1\.[01] /.test(whole)) return parseError("HPE_INVALID_VERSION", "Expected HTTP/1.0 or HTTP/1.1", line)
    if (!/^.{9}[1-5][0-9]{2} /.test(whole)) return parseError("HPE_INVALID_STATUS", "Expected a status code", line)
    return lineEndError(after(leadingText, line.slice(statusLength)), line, "HPE_STRICT", "HPE_INVALID_STATUS")
  }
}

/** A field line, or the empty line after the last one. */
export const fieldLine: LineSyntax = {
  pattern: new RegExp(`^(?:${token}:${text})?\\r\\n$`),
  completions: () => ["\r\n", "a:\r\n", "\n"],
  shorten: (cut) => (cut.includes(":") ? `a:${afterCR(cut)}` : cut === "\r" ? cut : "a"),
  errorOf: (line) => {
    if (/^[ \t]/.test(line)) return parseError("HPE_INVALID_HEADER_TOKEN", "Folded field line", line)
    const rest = after(leadingToken, line)
    return rest.startsWith(":") && rest !== line
      ? lineEndError(after(leadingText, rest.slice(1)), line, "HPE_LF_EXPECTED", "HPE_INVALID_HEADER_TOKEN")
      : parseError("HPE_INVALID_HEADER_TOKEN", "Invalid field name", line)
  }
}

/** The first field line after a status line. */
export const firstFieldLine: LineSyntax = {
  ...fieldLine,
  errorOf: (line) =>
    /^[ \t]/.test(line)
      ? parseError("HPE_UNEXPECTED_SPACE", "White space before the first field", line)
      : fieldLine.errorOf(line)
}

const endedExtensions = new RegExp(`^[0-9A-Fa-f]+(?:${extension})*(?=;)`)
const openQuote = new RegExp(`"${quotedText}+$`)
const lastToken = new RegExp(`${token}$`)

/** The size of a chunk, and its extensions. */
export const chunkLine: LineSyntax = {
  pattern: new RegExp(`^[0-9A-Fa-f]+(?:${extension})*\\r\\n$`),
  completions: () => ["\r\n", "0\r\n", "\n", "a\r\n", '"\r\n', 'a"\r\n'],
  shorten: (cut) => cut.replace(endedExtensions, "0").replace(openQuote, '"').replace(lastToken, "a"),
  errorOf: (line) => {
    const rest = after(leadingDigits, line)
    if (rest === line || !/^[;\r\n]/.test(rest)) return parseError("HPE_INVALID_CHUNK_SIZE", "Invalid chunk size", line)
    if (chunkLine.pattern.test(line.replace(/\n$/, "\r\n"))) {
      return parseError("HPE_CR_EXPECTED", "LF without CR", line)
    }
    return parseError("HPE_STRICT", rest.startsWith("\r") ? "CR without LF" : "Invalid chunk extension", line)
  }
}

const tokenOnly = new RegExp(`^${token}$`)

export const isToken = (text: string): boolean => tokenOnly.test(text)

const isWhiteSpace = (code: number): boolean => code === 0x20 || code === 0x09

/** A part of a text without optional white space around it: SP and HTAB only, so not `String.trim`. */
export const trimOws = (text: string, start = 0, end = text.length): string => {
  while (start < end && isWhiteSpace(text.charCodeAt(start))) start++
  while (end > start && isWhiteSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** The members of a comma-separated list in lower case; a recipient ignores empty ones (RFC 9110 §5.6.1.2). */
export const listMembers = (list: string | undefined): ReadonlyArray<string> =>
  list === undefined
    ? []
    : list
        .toLowerCase()
        .split(",")
        .map((member) => trimOws(member))
        .filter((member) => member !== "")
