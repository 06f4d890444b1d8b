/** Validation and defaults of server options. */
import { defaults, type Options as LimitOptions } from "../../Limits.js"
import type { ListenOptions } from "../../Listener.js"
import { firstInvalidLimit, firstInvalidOption, isTimeout, type Validator, type Validators } from "../limits.js"

/** For options that are validated elsewhere, when the server listens. */
const isAny: Validator = () => true

const isOneOf =
  (...values: ReadonlyArray<unknown>): Validator =>
  (value) =>
    values.includes(value)

const backlog: Validator = (value) => Number.isInteger(value) && Number(value) >= 0

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
  backlog,
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
  validators: Validators<Options>
): string | undefined => firstInvalidOption(options, validators) ?? firstInvalidLimit(limitOptionsOf(options), defaults)

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

/** The validators of a place; its other options are validated when the server listens. */
const placeValidators = {
  port: isAny,
  address: isAny,
  domain: validators.domain,
  path: isAny,
  mode: isAny,
  fd: isAny,
  backlog,
  tls: isAny
} as const satisfies Validators<Place>

/** Description of the first invalid option of places; those of the main one are beside options of other kinds. */
export const invalidPlace = (given: Places, options: Places): string | undefined => {
  const main = firstInvalidOption({ backlog: given.backlog, domain: given.domain }, validators)
  const additional = (given.additional ?? options.additional ?? []).map((place, i) => {
    const invalid = firstInvalidOption(place, placeValidators)
    return invalid === undefined ? undefined : `additional[${i}].${invalid}`
  })
  return main ?? additional.find((invalid) => invalid !== undefined)
}

const isAnyGiven = (values: ReadonlyArray<unknown>): boolean => values.some((value) => value !== undefined)

/** Whether options say where to listen, or how. */
export const isPlaceGiven = ({ additional, address, backlog, domain, fd, mode, path, port, tls }: Places): boolean =>
  isAnyGiven([additional, address, backlog, domain, fd, mode, path, port, tls])

/** The options of one place, without those of the server for a place of another kind. */
const placeOf = (given: Place, options: Place): Place => {
  const { fd, path, ...others } = options
  const isOtherGiven = isAnyGiven([given.port, given.address, given.domain, given.path, given.fd])
  return withDefaults(given, isOtherGiven ? others : { ...others, fd, path })
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
