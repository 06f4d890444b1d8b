/**
 * Parser of hosts and request targets: `uri-host [":" port]`, and the four forms of a target (RFC 9112 §3.2, RFC 3986 §3.2.2).
 */
import { HEX, HOST } from "./characters.js"

const maxPort = 65535

/** `port = *DIGIT`, at most 65535. */
const isPort = (text: string): boolean => /^[0-9]*$/.test(text) && Number(text) <= maxPort

/** RFC 3986: eight groups of up to four hex digits; one run of zero groups may be omitted, the last two may be an IPv4. */
const isIPv6 = (text: string): boolean => {
  const halves = text.split("::")
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")))
  const last = groups[groups.length - 1]
  const hasIPv4 = last?.includes(".") === true
  if (hasIPv4 && (!isIPv4(last ?? "") || text.endsWith("::"))) return false
  const plain = hasIPv4 ? groups.slice(0, -1) : groups
  const count = plain.length + (hasIPv4 ? 2 : 0)
  return plain.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) && (halves.length === 2 ? count <= 7 : count === 8)
}

const isIPv4 = (text: string): boolean =>
  /^(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}$/.test(text) && text.split(".").every((part) => Number(part) <= 255)

/** RFC 3986: a future address format, unused, but in the grammar. */
const isIPvFuture = (text: string): boolean => /^v[0-9a-f]+\.[a-z0-9._~!$&'()*+,;=:-]+$/i.test(text)

const isHexDigit = (text: string, at: number): boolean => HEX[text.charCodeAt(at)]! < 16

const isRegName = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (HOST[code] === 1) continue
    if (code !== 0x25 || !isHexDigit(text, i + 1) || !isHexDigit(text, i + 2)) return false
    i += 2
  }
  return true
}

const matchesAuthority = (text: string): boolean => {
  if (text === "") return true
  if (text.startsWith("[")) {
    const close = text.indexOf("]")
    const literal = text.slice(1, close)
    const rest = text.slice(close + 1)
    return (
      close > 0 &&
      (isIPv6(literal) || isIPvFuture(literal)) &&
      (rest === "" || (rest.startsWith(":") && isPort(rest.slice(1))))
    )
  }
  const colon = text.indexOf(":")
  return colon < 0 ? isRegName(text) : colon > 0 && isRegName(text.slice(0, colon)) && isPort(text.slice(colon + 1))
}

/** Cache: most requests have the same host as the one before. */
let lastValid = ""

/**
 * Whether a text is `uri-host [":" port]`: no user info, no list, no open bracket, no broken percent-encoding.
 *
 * An empty host is valid in Host only (RFC 9112 §3.2: a target without authority), and without a port.
 */
export const isAuthority = (text: string): boolean => {
  if (text === lastValid) return true
  const isValid = matchesAuthority(text)
  if (isValid) lastValid = text
  return isValid
}

/** A parsed target: its authority, if it has one, and path and query for routing. */
export interface Target {
  readonly authority: string | undefined
  readonly url: string
}

const absoluteForm = /^https?:\/\/([^/?]*)(.*)$/is

/**
 * Parses a target; `undefined` when it has no form that its method allows.
 *
 * - origin-form `/path?query`, for every method but CONNECT;
 * - absolute-form `http://authority/path?query`, likewise: its authority replaces Host (RFC 9112 §3.2.2);
 * - authority-form `host:port`, for CONNECT only;
 * - asterisk-form `*`, for OPTIONS only.
 */
export const parseTarget = (method: string, target: string): Target | undefined => {
  if (method === "CONNECT") {
    // Port 0 cannot be connected to (RFC 9110 §9.3.6).
    return isAuthority(target) && /:0*[1-9][0-9]*$/.test(target) ? { authority: target, url: target } : undefined
  }
  if (target.charCodeAt(0) === 0x2f) return { authority: undefined, url: target }
  if (target === "*") return method === "OPTIONS" ? { authority: undefined, url: target } : undefined
  const [, authority, rest] = absoluteForm.exec(target) ?? []
  if (!authority || rest === undefined || !isAuthority(authority)) return undefined
  // RFC 9112 §3.2.4: server-wide OPTIONS in absolute-form has neither path nor query.
  if (rest === "") return { authority, url: method === "OPTIONS" ? "*" : "/" }
  return { authority, url: rest.startsWith("/") ? rest : `/${rest}` }
}
