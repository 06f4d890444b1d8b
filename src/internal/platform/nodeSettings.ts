/**
 * Conversion of the settings of a server of `node:http` or `node:https` to options of this server that are at least as strict.
 *
 * `NodeHttpServer` takes a function that creates its server, and a migrated application passes the same. Its settings are
 * applied, or rejected by name: none is silently ignored.
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
import type { Options as TlsOptions } from "../../Tls.js"
import { isTls, release, type Setting, settingsOf } from "../net/nodeServer.js"
import { isTlsSetting, tlsOptionsOf } from "./tlsSettings.js"

/** The settings, as options of this server. */
interface NodeSettings {
  /** Bytes, counts and milliseconds, by the names of limits. */
  readonly limits: Readonly<Record<string, number>>
  /** Whether the handler continues after the client's FIN. */
  readonly isHalfOpen: boolean
  /** Bytes of a request line and its header section together. */
  readonly maxHeaderSize: number | undefined
  readonly maxConnections: number | undefined
  readonly tls: TlsOptions | undefined
}

type Numbers = { readonly [name: string]: number | undefined }

const unbounded = Number.POSITIVE_INFINITY

/** In `node:http`, 0 is no limit. */
const bound = (value: number | undefined): number | undefined => (value === 0 ? unbounded : value)

/** The default of a timeout in milliseconds, but at most `max`. */
const atMost = (name: keyof Limits.Limits, max: number): number =>
  Math.min(Duration.toMillis(Duration.decode(Limits.defaults[name])), max)

/** The timeouts of the parts of a request, whose sum is that of the whole. */
const requestLimits = (request: number, headers: number | undefined) => {
  // Without a limit a client may even pause for any time.
  if (request === unbounded) return { headerTimeout: headers, bodyTimeout: unbounded, bodyTotalTimeout: unbounded }
  const headerTimeout = Math.min(headers ?? atMost("headerTimeout", unbounded), request / 2)
  const bodyTotalTimeout = request - headerTimeout
  return { headerTimeout, bodyTotalTimeout, bodyTimeout: atMost("bodyTimeout", bodyTotalTimeout) }
}

/** The timeouts for a connection without a byte in either direction, in any state. */
const inactivityLimits = (max: number, known: Numbers): Numbers => {
  const waits = ["keepAliveTimeout", "headerTimeout", "bodyTimeout", "writeTimeout"] as const
  const bounded = waits.map((name) => [name, Math.min(known[name] ?? atMost(name, unbounded), max)] as const)
  return { inactivityTimeout: max, ...Object.fromEntries(bounded) }
}

/** Allowance for separators, which `node:http` does not count: it counts names, values and the target. */
const separators = 1024

const headerSizeLimits = (max: number): Numbers => ({
  maxRequestLine: max + separators,
  maxHeaderLine: max + separators,
  maxHeaderSection: max + separators,
  maxTrailerSection: Math.min(Limits.defaults.maxTrailerSection, max)
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

/** Supported settings that are numbers. The checking interval has no effect: timeouts are exact here. */
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
  // 0 means no connections or any number of them, depending on the version of Node.
  return name === "maxConnections" ? value > 0 : value >= 0
}

/** Whether a setting has the only value that this server supports. */
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

const formatValue = (value: unknown): string => {
  if (typeof value === "function") return value.name === "" ? "a function" : value.name
  return Inspectable.toStringUnknown(
    Predicate.isIterable(value) && !Predicate.isString(value) ? Array.from(value) : value,
    0
  )
}

const unsupported = (actual: string): ServeError =>
  new ServeError({ cause: new ValueError({ reason: "Setting", actual }) })

const isHalfOpen = ({ name, value }: Setting): boolean => name === "httpAllowHalfOpen" && value === true

/** The options of TLS of a `node:https` server; a name where one is missing. */
const tlsOf = (server: unknown, settings: ReadonlyArray<Setting>): TlsOptions | string | undefined =>
  isTls(server) ? tlsOptionsOf(settings) : undefined

const read = (server: unknown): Effect.Effect<NodeSettings, ServeError> =>
  Effect.suspend(() => {
    const settings = settingsOf(server)
    if (typeof settings === "string") return unsupported(settings)
    const effective = settings.filter((setting) => !isWithoutEffect(setting))
    const isSupported = (setting: Setting): boolean =>
      isNumber(setting) || isHalfOpen(setting) || (isTls(server) && isTlsSetting(setting))
    const rejected = effective.find((setting) => !isSupported(setting))
    if (rejected !== undefined) return unsupported(`${rejected.name}: ${formatValue(rejected.value)}`)
    const tls = tlsOf(server, effective)
    if (typeof tls === "string") return unsupported(`${tls}: undefined`)
    const numbers: Numbers = Object.fromEntries(
      effective.filter(isNumber).map(({ name, value }) => [name, Number(value)])
    )
    const { maxConnections, maxHeaderSize } = numbers
    return Effect.succeed({
      limits: limitsFrom(numbers),
      isHalfOpen: effective.some(isHalfOpen),
      maxHeaderSize,
      maxConnections,
      tls
    })
  })

/** Creates a server of `node:http` once, reads its settings, and closes it. */
const evaluateSettings = (evaluate: LazyArg<unknown>): Effect.Effect<NodeSettings, ServeError> =>
  Effect.try({ try: evaluate, catch: (cause) => new ServeError({ cause }) }).pipe(
    Effect.flatMap((server) =>
      Effect.ensuring(
        read(server),
        Effect.sync(() => release(server))
      )
    ),
    Effect.uninterruptible
  )

/** The options that correspond to settings of a `node:http` server. */
interface Options {
  readonly limits?: Limits.Options | undefined
  readonly onClientEnd?: "continue" | "interrupt" | undefined
  readonly onFull?: "queue" | "reject" | undefined
  readonly tls?: TlsOptions | undefined
}

/** Settings without a corresponding option. */
export interface Bounds {
  readonly maxHeaderSize: number | undefined
  readonly maxConnections: number | undefined
}

const numberOf = (limit: number | Duration.Duration): number =>
  Duration.isDuration(limit) ? Duration.toMillis(limit) : limit

/** Description of the first option that is less strict than the `node:http` server, or `undefined`. */
const conflictOf = ({ limits = {}, onClientEnd, onFull, tls }: Options, settings: NodeSettings): string | undefined => {
  if (settings.isHalfOpen && onClientEnd === "interrupt") return "httpAllowHalfOpen: true, but onClientEnd: interrupt"
  if (settings.maxConnections !== undefined && onFull === "queue")
    return `maxConnections: ${settings.maxConnections}, but onFull: queue`
  if (settings.tls !== undefined && tls !== undefined) return "tls: the given server has TLS of its own"
  // Invalid limits are reported when the server listens.
  const validated = Limits.validate(limits)
  if (Either.isLeft(validated)) return undefined
  const effectiveLimits = validated.right
  const name = Object.keys(settings.limits)
    .filter((name): name is keyof Limits.Limits => Object.hasOwn(limits, name))
    .find(
      (name) => limits[name] !== undefined && numberOf(effectiveLimits[name]) > (settings.limits[name] ?? unbounded)
    )
  return name && `limits.${name}: ${formatValue(limits[name])}, but the given server has ${settings.limits[name]}`
}

/**
 * Adds the settings of the `node:http` server to the options. An option that is at least as strict takes precedence; a less
 * strict one is an error.
 */
export const withNodeSettings = <O extends Options>(
  evaluate: LazyArg<unknown>,
  options: O
): Effect.Effect<O & Bounds, ServeError> =>
  Effect.flatMap(evaluateSettings(evaluate), (settings) => {
    const { isHalfOpen, maxConnections, maxHeaderSize, tls } = settings
    const conflict = conflictOf(options, settings)
    if (conflict !== undefined) return unsupported(conflict)
    return Effect.succeed({
      ...options,
      limits: { ...settings.limits, ...options.limits },
      ...(tls === undefined ? {} : { tls }),
      ...(isHalfOpen ? { onClientEnd: "continue" } : {}),
      ...(maxConnections === undefined ? {} : { onFull: "reject" }),
      maxConnections,
      maxHeaderSize
    })
  })

/** The size of a request head, as `node:http` counts it. */
export const headSize = ({ headers, originalUrl }: Request): number => {
  let size = originalUrl.length
  for (const [name, value] of headers) size += name.length + value.length
  return size
}

/** The `max` of a descriptor budget for so many connections, its headroom, one listening socket and one new connection. */
export const descriptorsFor = (connections: number): number => {
  let max = connections + 2
  while (max - Math.min(64, Math.floor(max / 4)) < connections + 2) max++
  return max
}
