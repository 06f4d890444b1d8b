/** Character classes as look-up tables: one array read per byte. */

export const HTAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SP = 0x20
export const COLON = 0x3a
export const SEMICOLON = 0x3b

const table = (allowed: (byte: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (allowed(byte) ? 1 : 0))

const among =
  (chars: string) =>
  (byte: number): boolean =>
    chars.includes(String.fromCharCode(byte))

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39
const isAlpha = (byte: number): boolean => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)

/** RFC 9110 §5.6.2: `tchar`. */
export const TOKEN = table((byte) => isDigit(byte) || isAlpha(byte) || among("!#$%&'*+-.^_`|~")(byte))

/** RFC 9110 §5.5: characters of a field value: VCHAR, obs-text, SP and HTAB. */
export const VALUE = table((byte) => byte === HTAB || (byte >= SP && byte !== 0x7f))

/**
 * Characters of a request target: every visible ASCII character except `#`.
 *
 * RFC 3986 excludes some more (`|`, `^`, `{`, `"` …), but browsers and curl send them unescaped, and none of them
 * ends or splits a target.
 */
export const TARGET = table((byte) => byte > SP && byte < 0x7f && byte !== 0x23)

/**
 * RFC 3986 §3.2.2: `unreserved` and `sub-delims` of a reg-name, without the comma, which only a list of hosts has.
 * `authority.ts` checks percent-encoding and brackets.
 */
export const HOST = table((byte) => isDigit(byte) || isAlpha(byte) || among("-._~!$&'()*+;=")(byte))

/** The value of a hexadecimal digit, or 255. */
export const HEX = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(byte).toLowerCase())
  return digit < 0 ? 255 : digit
})

/**
 * Index of the first byte from `at` on that is not in the table, or `bound`. Four bytes at a time: one comparison for all
 * takes half the time of four.
 */
export const scanWhile = (allowed: Uint8Array, buf: Buffer, at: number, bound: number): number => {
  for (; at + 3 < bound; at += 4) {
    const all = allowed[buf[at]!]! & allowed[buf[at + 1]!]! & allowed[buf[at + 2]!]! & allowed[buf[at + 3]!]!
    if (all === 0) break
  }
  while (at < bound && allowed[buf[at]!] === 1) at++
  return at
}

/**
 * Whether `buf[from, to)` equals a name, case-insensitively; the name must be in lower case.
 *
 * `| 0x20` folds letters; it turns no other character of a name into a letter.
 */
export const nameEquals = (buf: Uint8Array, from: number, to: number, lower: string): boolean => {
  if (to - from !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    if ((buf[from + i]! | 0x20) !== lower.charCodeAt(i)) return false
  }
  return true
}

/** Whether a text is `1*tchar` (RFC 9110 §5.6.2). */
export const isToken = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (TOKEN[text.charCodeAt(i)] !== 1) return false
  }
  return text.length > 0
}

/** Bytes as text, one character per byte: obs-text is preserved (RFC 9110 §5.5). */
export const latin1Slice = (buf: Buffer, from: number, to: number): string => buf.toString("latin1", from, to)

/**
 * `latin1Slice`, or the previous text if it is equal: the requests of a connection have one host, and often one target, and
 * comparing costs less than creating a string.
 */
export const cachedLatin1Slice = (last: string, buf: Buffer, from: number, to: number): string => {
  if (last.length !== to - from) return latin1Slice(buf, from, to)
  for (let i = 0; i < last.length; i++) {
    if (buf[from + i] !== last.charCodeAt(i)) return latin1Slice(buf, from, to)
  }
  return last
}
