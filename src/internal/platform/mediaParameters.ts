/**
 * Parser of values with parameters: `Content-Type`, and the `Content-Disposition` of a part (RFC 9110 §5.6.6, RFC 7578 §4.2).
 *
 * The text of a field line is Latin-1, one character per byte: names in UTF-8, or in the charset of a form, are decoded later.
 */

/** `type/subtype; name=value`, or `form-data; name="value"`: the value and the names in lower case. */
interface Parameterized {
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
}

const token = "[!#$%&'*+.^_`|~\\w-]+"

const leading = new RegExp(`^[ \\t]*(${token}(?:/${token})?)[ \\t]*`)

// Clients send unquoted values that are no tokens: `boundary=a/b`, `filename=a b.txt`.
const parameter = (quoted: string): RegExp =>
  new RegExp(`;[ \\t]*(?:(${token})[ \\t]*=[ \\t]*(?:"(${quoted})"|([^;"]*)))?[ \\t]*`, "y")

/** A quoted string that ends at the next quote; a backslash is literal. */
const literal = parameter('[^"]*')

/** A quoted string in which a backslash escapes the next character (RFC 9110 §5.6.4). */
const escaped = parameter('(?:[^"\\\\]|\\\\[\\s\\S])*')

/** Removes trailing spaces and tabs. A pattern takes quadratic time, and `String.trimEnd` removes bytes of UTF-8. */
export const trimEnd = (text: string): string => {
  let end = text.length
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end--
  return text.slice(0, end)
}

/** `undefined` if the text does not match the grammar, or repeats a parameter: recipients differ on which one counts. */
const parseBy = (pattern: RegExp, unquote: (text: string) => string, text: string): Parameterized | undefined => {
  const start = leading.exec(text)
  if (start === null) return undefined
  const parameters = new Map<string, string>()
  pattern.lastIndex = start[0].length
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (match === null) return undefined
    const [, name, quoted, plain = ""] = match
    if (name === undefined) continue
    const key = name.toLowerCase()
    if (parameters.has(key)) return undefined
    parameters.set(key, quoted === undefined ? trimEnd(plain) : unquote(quoted))
  }
  return { value: start[1]!.toLowerCase(), parameters }
}

const withoutEscapes = (text: string): string => text.replace(/\\([\s\S])/g, "$1")

/** Parses a `Content-Type`, with quoted strings of RFC 9110. */
export const parseContentType = (text: string): Parameterized | undefined => parseBy(escaped, withoutEscapes, text)

const formEscapes: Readonly<Record<string, string>> = { "%0A": "\n", "%0D": "\r", "%22": '"' }

/** The three escapes of HTML forms; every other percent sign is literal. */
const decodeFormEscapes = (text: string): string => text.replace(/%(?:0A|0D|22)/g, (escape) => formEscapes[escape]!)

/** The two backslash escapes; a path like `C:\dir\a.txt` is unchanged. */
const decodeBackslashes = (text: string): string => text.replace(/\\(["\\])/g, "$1")

/**
 * Parses a `Content-Disposition`. Two dialects are in use, without any indication: browsers, and clients that follow HTML,
 * encode `"` as `%22` and do not escape a backslash; curl's `--form-escape`, Go and Python's `email` send `\"` and `\\`. The
 * text is parsed by the rules of browsers, and by the others only if that fails.
 */
export const parseContentDisposition = (text: string): Parameterized | undefined =>
  parseBy(literal, decodeFormEscapes, text) ?? parseBy(escaped, decodeBackslashes, text)
