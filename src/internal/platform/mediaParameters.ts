/**
 * Values with parameters: `Content-Type`, and the `Content-Disposition` of a form's part (RFC 9110 §5.6.6, RFC 7578 §4.2).
 *
 * Text is that of a field line whose bytes are characters (Latin-1): a name in UTF-8, or in the charset of a form, is still
 * to be decoded.
 *
 * @internal
 */

/** `type/subtype; name=value`, or `form-data; name="value"`: the value and the names in lower case. */
export interface Parameterized {
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
}

const token = "[!#$%&'*+.^_`|~\\w-]+"

const leading = new RegExp(`^[ \\t]*(${token}(?:/${token})?)[ \\t]*`)

// Clients leave values unquoted that are no tokens: `boundary=a/b`, `filename=a b.txt`.
const parameter = (quoted: string): RegExp =>
  new RegExp(`;[ \\t]*(?:(${token})[ \\t]*=[ \\t]*(?:"(${quoted})"|([^;"]*)))?[ \\t]*`, "y")

/** A quoted string in which the next quote ends it, and a backslash is a backslash. */
const literal = parameter('[^"]*')

/** A quoted string in which a backslash quotes what follows it (RFC 9110 §5.6.4). */
const escaped = parameter('(?:[^"\\\\]|\\\\[\\s\\S])*')

/** Without spaces and tabs at its end. A pattern for it takes quadratic time, and `trimEnd` takes bytes of UTF-8 for spaces. */
export const trimEnd = (text: string): string => {
  let end = text.length
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end--
  return text.slice(0, end)
}

/** `undefined` where the text does not follow the grammar, or gives a parameter twice: recipients disagree on which counts. */
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

/** A `Content-Type`: quoted strings are those of RFC 9110. */
export const parseContentType = (text: string): Parameterized | undefined => parseBy(escaped, withoutEscapes, text)

const formEscapes: Readonly<Record<string, string>> = { "%0A": "\n", "%0D": "\r", "%22": '"' }

/** The three escapes of HTML's forms; every other percent sign is part of the name. */
const decodeFormEscapes = (text: string): string => text.replace(/%(?:0A|0D|22)/g, (escape) => formEscapes[escape]!)

/** What those clients escape which escape by backslash; a path like `C:\dir\a.txt` stays as it is. */
const decodeBackslashes = (text: string): string => text.replace(/\\(["\\])/g, "$1")

/**
 * A `Content-Disposition`. Two dialects are in use, and nothing announces which: browsers, and what follows HTML, write `"`
 * as `%22` and leave a backslash as it is; curl's `--form-escape`, Go and Python's `email` write `\"` and `\\`. The text
 * is read as a browser's, and as the other's only where it is no browser's.
 */
export const parseContentDisposition = (text: string): Parameterized | undefined =>
  parseBy(literal, decodeFormEscapes, text) ?? parseBy(escaped, decodeBackslashes, text)
