/**
 * Validation of server options that come from a configuration, or from code without types.
 *
 * @internal
 */
import { defaults, type Options as LimitOptions } from "../../Limits.js"
import type { ListenOptions } from "../../Listener.js"
import { describeOption as describe, firstInvalidLimit, isTimeout } from "../limits.js"

export { describe }

type Validator = (given: unknown) => boolean

export const isBacklog: Validator = (given) => Number.isInteger(given) && Number(given) >= 0

/** For options that are validated elsewhere, when the server listens. */
const isAny: Validator = () => true

const isOneOf =
  (...values: ReadonlyArray<string>): Validator =>
  (given) =>
    values.some((value) => value === given)

export const validators = {
  port: isAny,
  address: isAny,
  domain: isOneOf("IPv4", "IPv6", "Dual"),
  path: isAny,
  mode: isAny,
  fd: isAny,
  tls: isAny,
  additional: isAny,
  reuseAddr: isAny,
  reusePort: isAny,
  maxBody: isAny,
  limits: isAny,
  backlog: isBacklog,
  drainTimeout: isTimeout,
  interruptTimeout: isTimeout,
  onFull: isOneOf("queue", "reject"),
  onClientEnd: isOneOf("continue", "interrupt"),
  connectMethod: isOneOf("reject", "handle"),
  unknownMethods: isOneOf("reject", "handle")
} as const satisfies Record<string, Validator>

/** Options completed with defaults; one that is `undefined`, as in a configuration, counts as not given. */
export const withDefaults = <Given extends object, Defaults extends object>(
  given: Given | undefined,
  defaults: Defaults
): Defaults & Given => {
  const options = Object.entries(given ?? {}).filter(([, value]) => value !== undefined)
  // Each remaining value is of its declared type.
  return { ...defaults, ...Object.fromEntries(options) } as Defaults & Given
}

/** Description of the first unknown or invalid option, or `undefined`. */
const firstInvalidIn = <Options extends object>(
  options: Options,
  rules: { readonly [K in keyof Options]-?: Validator }
): string | undefined => {
  const isKnown = (name: string): name is keyof Options & string => Object.hasOwn(rules, name)
  const invalid = Object.entries(options).find(
    ([name, value]) => value !== undefined && !(isKnown(name) && rules[name](value))
  )
  if (invalid === undefined) return undefined
  const [name, value] = invalid
  return isKnown(name) ? describe(name, value) : `${name}: unknown option`
}

interface Bounded {
  readonly limits?: LimitOptions | undefined
  readonly maxBody?: number | undefined
}

/** The limits of the options; `maxBody` takes precedence over `limits.maxBody`. */
export const limitOptionsOf = ({ limits, maxBody }: Bounded): LimitOptions =>
  maxBody === undefined ? { ...limits } : { ...limits, maxBody }

/** Description of the first invalid option or limit. Such a server is made with the defaults, and `listen` fails. */
export const firstInvalid = <Options extends Bounded>(
  options: Options,
  rules: { readonly [K in keyof Options]-?: Validator }
): string | undefined => firstInvalidIn(options, rules) ?? firstInvalidLimit(limitOptionsOf(options), defaults)

/** A place to listen at: options of a server, and of its `listen` and `serve`. */
interface Place {
  readonly port?: number | undefined
  readonly address?: string | undefined
  readonly domain?: ListenOptions["domain"] | undefined
  readonly path?: string | undefined
  readonly mode?: number | undefined
  readonly fd?: number | undefined
  readonly backlog?: number | undefined
  readonly tls?: ListenOptions["tls"]
}

interface Places extends Place {
  readonly additional?: ReadonlyArray<Place> | undefined
}

interface ServerListenOptions extends Places {
  readonly reuseAddr?: boolean | undefined
  readonly reusePort?: boolean | undefined
  readonly onFull?: ListenOptions["onFull"] | undefined
}

const isAnyGiven = (values: ReadonlyArray<unknown>): boolean => values.some((value) => value !== undefined)

/** Whether options say where to listen, or how. */
export const isPlaceGiven = ({ additional, address, backlog, domain, fd, mode, path, port, tls }: Places): boolean =>
  isAnyGiven([additional, address, backlog, domain, fd, mode, path, port, tls])

/** The options of one place, without those of the server for a place of another kind. */
const placeOf = (given: Place, options: Place): Place => {
  const { fd, mode, path, ...tcp } = options
  const isTcp = isAnyGiven([given.port, given.address, given.domain])
  return withDefaults(given, isTcp || isAnyGiven([given.path, given.fd]) ? tcp : { ...tcp, fd, mode, path })
}

/** The options of each listener, the main one first: the given ones, completed by those of the server and by defaults. */
export const listenOptionsOf = (
  given: Places,
  options: ServerListenOptions
): readonly [ListenOptions, ...ReadonlyArray<ListenOptions>] => {
  const complete = ({ address = "", backlog, domain, fd, mode, path, port = 0, tls }: Place): ListenOptions => ({
    port,
    address,
    domain: domain ?? options.domain ?? "IPv4",
    path,
    mode,
    fd,
    tls,
    backlog: backlog ?? options.backlog ?? 511,
    reuseAddr: options.reuseAddr ?? true,
    reusePort: (options.reusePort ?? false) && path === undefined && fd === undefined,
    onFull: options.onFull ?? "queue"
  })
  return [complete(placeOf(given, options)), ...(given.additional ?? options.additional ?? []).map(complete)]
}
