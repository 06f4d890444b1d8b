/**
 * The settings of a server of `node:http` as options of this one, where they have a counterpart that is at least as strict.
 *
 * `NodeHttpServer` is given what makes its server, and an application that moves here gives the same. What that server was
 * made for is honoured or refused by name: nothing that was asked for is left out without a word.
 *
 * @internal
 */
import { ServeError } from "@effect/platform/HttpServerError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { LazyArg } from "effect/Function"
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import { ValueError } from "../../Errors.js"
import * as Limits from "../../Limits.js"
import type { Request } from "../../Request.js"
import { release, type Setting, settingsOf } from "./nodeServer.js"

/** What is asked for, in words of this server. */
interface NodeSettings {
  /** Bytes, counts and milliseconds, by the names of limits. */
  readonly limits: Readonly<Record<string, number>>
  /** A client that has closed its side still waits for its response. */
  readonly isHalfOpen: boolean
  /** Bytes of a request line and its header section together. */
  readonly maxHeaderSize: number | undefined
  readonly maxConnections: number | undefined
}

type Numbers = { readonly [name: string]: number | undefined }

const unbounded = Number.POSITIVE_INFINITY

/** `node:http` has 0 for no bound. */
const bound = (value: number | undefined): number | undefined => (value === 0 ? unbounded : value)

/** Milliseconds that a wait may take by default, or fewer. */
const atMost = (name: keyof Limits.Limits, most: number): number =>
  Math.min(Duration.toMillis(Duration.decode(Limits.defaults[name])), most)

/** The bounds of a request's parts, whose sum bounds the whole. */
const requestLimits = (request: number, headers: number | undefined) => {
  // Without a bound a client may even pause for as long as it likes.
  if (request === unbounded) return { headerTimeout: headers, bodyTimeout: unbounded, bodyTotalTimeout: unbounded }
  const headerTimeout = Math.min(headers ?? atMost("headerTimeout", unbounded), request / 2)
  const bodyTotalTimeout = request - headerTimeout
  return { headerTimeout, bodyTotalTimeout, bodyTimeout: atMost("bodyTimeout", bodyTotalTimeout) }
}

/** A connection without a byte in either direction, whatever it waits for. */
const inactivityLimits = (most: number, known: Numbers): Numbers => {
  const waits = ["keepAliveTimeout", "headerTimeout", "bodyTimeout", "writeTimeout"] as const
  const bounded = waits.map((name) => [name, Math.min(known[name] ?? atMost(name, unbounded), most)] as const)
  return { inactivityTimeout: most, ...Object.fromEntries(bounded) }
}

/** `node:http` counts names, values and the target; what stands between them is counted here as well. */
const separators = 1024

const headerSizeLimits = (most: number): Numbers => ({
  maxRequestLine: most + separators,
  maxHeaderLine: most + separators,
  maxHeaderSection: most + separators,
  maxTrailerSection: Math.min(Limits.defaults.maxTrailerSection, most)
})

const isKnown = (entry: [string, number | undefined]): entry is [string, number] => entry[1] !== undefined

const limitsFrom = (numbers: Numbers): Readonly<Record<string, number>> => {
  const { maxHeaderSize } = numbers
  const headers = bound(numbers.headersTimeout)
  const request = bound(numbers.requestTimeout)
  const inactivity = bound(numbers.timeout)
  const limits: Numbers = {
    keepAliveTimeout: bound(numbers.keepAliveTimeout),
    headerTimeout: headers,
    maxHeaders: bound(numbers.maxHeadersCount),
    maxRequestsPerConnection: bound(numbers.maxRequestsPerSocket),
    ...(request === undefined ? {} : requestLimits(request, headers)),
    ...(maxHeaderSize === undefined ? {} : headerSizeLimits(maxHeaderSize))
  }
  const all = inactivity === undefined ? limits : { ...limits, ...inactivityLimits(inactivity, limits) }
  return Object.fromEntries(Object.entries(all).filter(isKnown))
}

/** Settings that are numbers, and mean something here. A check in intervals does not: here a timeout is noticed when it is due. */
const numberNames = new Set([
  "keepAliveTimeout",
  "headersTimeout",
  "requestTimeout",
  "timeout",
  "maxHeaderSize",
  "maxHeadersCount",
  "maxRequestsPerSocket",
  "maxConnections",
  "connectionsCheckingInterval"
])

const isNumber = ({ name, value }: Setting): boolean => {
  if (!numberNames.has(name) || typeof value !== "number") return false
  // No connection at all, or any number of them: what 0 means depends on the version of Node.
  return name === "maxConnections" ? value > 0 : value >= 0
}

/** Says what is so in any case. */
const isWithoutEffect = ({ name, value }: Setting): boolean => {
  switch (name) {
    case "insecureHTTPParser":
    case "joinDuplicateHeaders":
      return value === false
    case "requireHostHeader":
      return value === true
    case "maxHeaderSize":
      return value === 0
    case "maxHeadersCount":
    case "maxRequestsPerSocket":
      return value === undefined || value === null
    default:
      return false
  }
}

const shown = (value: unknown): string => {
  if (typeof value === "function") return value.name === "" ? "a function" : value.name
  return Inspectable.toStringUnknown(
    Predicate.isIterable(value) && !Predicate.isString(value) ? Array.from(value) : value,
    0
  )
}

const refusal = (actual: string): ServeError => new ServeError({ cause: new ValueError({ reason: "Setting", actual }) })

const isHalfOpen = ({ name, value }: Setting): boolean => name === "httpAllowHalfOpen" && value === true

const read = (server: unknown): Effect.Effect<NodeSettings, ServeError> =>
  Effect.suspend(() => {
    const settings = settingsOf(server)
    if (typeof settings === "string") return refusal(settings)
    const meant = settings.filter((setting) => !isWithoutEffect(setting))
    const other = meant.find((setting) => !(isNumber(setting) || isHalfOpen(setting)))
    if (other !== undefined) return refusal(`${other.name}: ${shown(other.value)}`)
    const numbers: Numbers = Object.fromEntries(meant.filter(isNumber).map(({ name, value }) => [name, Number(value)]))
    const { maxConnections, maxHeaderSize } = numbers
    return Effect.succeed({
      limits: limitsFrom(numbers),
      isHalfOpen: meant.some(isHalfOpen),
      maxHeaderSize,
      maxConnections
    })
  })

/** Makes a server of `node:http`, once, reads its settings, and leaves nothing of it open. */
const made = (evaluate: LazyArg<unknown>): Effect.Effect<NodeSettings, ServeError> =>
  Effect.try({ try: evaluate, catch: (cause) => new ServeError({ cause }) }).pipe(
    Effect.flatMap((server) =>
      Effect.ensuring(
        read(server),
        Effect.sync(() => release(server))
      )
    ),
    Effect.uninterruptible
  )

/** Options that settings of a server of `node:http` have a counterpart among. */
interface Options {
  readonly limits?: Limits.Options | undefined
  readonly onClientEnd?: "continue" | "interrupt" | undefined
  readonly onFull?: "queue" | "reject" | undefined
}

/** What is asked for that no option says. */
export interface Bounds {
  readonly maxHeaderSize: number | undefined
  readonly maxConnections: number | undefined
}

const numberOf = (limit: number | Duration.Duration): number =>
  Duration.isDuration(limit) ? Duration.toMillis(limit) : limit

/** The first option that is less strict than the server of `node:http`, if there is one. */
const conflictOf = ({ limits = {}, onClientEnd, onFull }: Options, settings: NodeSettings): string | undefined => {
  if (settings.isHalfOpen && onClientEnd === "interrupt") return "httpAllowHalfOpen: true, and onClientEnd: interrupt"
  if (settings.maxConnections !== undefined && onFull === "queue")
    return `maxConnections: ${settings.maxConnections}, and onFull: queue`
  // What is no limit, or no bound, is refused when the server listens.
  const validated = Limits.validate(limits)
  if (Either.isLeft(validated)) return undefined
  const own = validated.right
  const name = Object.keys(settings.limits)
    .filter((name): name is keyof Limits.Limits => Object.hasOwn(limits, name))
    .find((name) => limits[name] !== undefined && numberOf(own[name]) > (settings.limits[name] ?? unbounded))
  return name && `limits.${name}: ${shown(limits[name])}, where the server has ${settings.limits[name]}`
}

/**
 * Options with the settings of the server of `node:http` that is made. An option wins where it is at least as strict, and is
 * refused where it is less.
 */
export const withNodeSettings = <O extends Options>(
  evaluate: LazyArg<unknown>,
  options: O
): Effect.Effect<O & Bounds, ServeError> =>
  Effect.flatMap(made(evaluate), (settings) => {
    const { isHalfOpen, maxConnections, maxHeaderSize } = settings
    const conflict = conflictOf(options, settings)
    if (conflict !== undefined) return refusal(conflict)
    return Effect.succeed({
      ...options,
      limits: { ...settings.limits, ...options.limits },
      ...(isHalfOpen ? { onClientEnd: "continue" } : {}),
      ...(maxConnections === undefined ? {} : { onFull: "reject" }),
      maxConnections,
      maxHeaderSize
    })
  })

/** The size of a request's head, as `node:http` counts it. */
export const headSize = ({ headers, originalUrl }: Request): number => {
  let size = originalUrl.length
  for (const [name, value] of headers) size += name.length + value.length
  return size
}

/** The most descriptors under which a server has so many connections: besides those that a budget keeps, one listens, and one arrives. */
export const descriptorsFor = (connections: number): number => {
  let max = connections + 2
  while (max - Math.min(64, Math.floor(max / 4)) < connections + 2) max++
  return max
}
