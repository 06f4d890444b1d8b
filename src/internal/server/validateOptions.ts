/** Validation and defaults of server options. */
import * as Duration from "effect/Duration"
import { defaults, type Options as LimitOptions } from "../../Limits.js"
import type { ListenOptions } from "../../Listener.js"
import { firstInvalidLimit, firstInvalidOption, isTimeout, type Validator, type Validators } from "../limits.js"
import type { ForwardedHeader, TrustedProxies } from "../message/forwarded.js"
import { invalidNetwork, TrustedNetworks } from "../net/trustedNetworks.js"
import type { ListenOptions as Places } from "./places.js"

/** One place to listen at. */
type Place = Omit<Places, "additional">

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
  proxyProtocol: isAny,
  additional: isAny,
  reuseAddr: isAny,
  reusePort: isOneOf(true, false, "auto"),
  maxBody: isAny,
  limits: isAny,
  backlog,
  drainTimeout: isTimeout,
  interruptTimeout: isTimeout,
  trustedProxies: (value) => invalidNetwork(value) === undefined,
  forwardedHeader: isOneOf("x-forwarded", "forwarded"),
  onFull: isOneOf("queue", "reject"),
  onClientEnd: isOneOf("continue", "interrupt"),
  connectMethod: isOneOf("reject", "handle"),
  unknownMethods: isOneOf("reject", "handle")
} as const satisfies Record<string, Validator>

/** How requests are served, as far as it is not a limit. */
interface Policies {
  readonly connectMethod?: "reject" | "handle" | undefined
  readonly onClientEnd?: "continue" | "interrupt" | undefined
  readonly unknownMethods?: "reject" | "handle" | undefined
  readonly trustedProxies?: ReadonlyArray<string> | undefined
  readonly forwardedHeader?: ForwardedHeader | undefined
}

/** The trusted proxies; `undefined` if there are none, or the option is invalid. */
const proxiesOf = ({
  forwardedHeader: header = "x-forwarded",
  trustedProxies
}: Policies): TrustedProxies | undefined => {
  if (trustedProxies === undefined || invalidNetwork(trustedProxies) !== undefined) return undefined
  const { includes, includesPeer } = new TrustedNetworks(trustedProxies)
  return { header, includes, includesPeer }
}

/** The policies of the options, completed with defaults. */
export const policiesOf = (options: Policies) => ({
  connectMethod: options.connectMethod ?? "reject",
  onClientEnd: options.onClientEnd ?? "continue",
  unknownMethods: options.unknownMethods ?? "reject",
  proxies: proxiesOf(options)
})

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

interface ShutdownOptions {
  readonly drainTimeout?: Duration.DurationInput | undefined
  readonly interruptTimeout?: Duration.DurationInput | undefined
}

/** The timeouts of a shutdown, in milliseconds. */
export const shutdownTimeoutsOf = ({
  drainTimeout = "5 seconds",
  interruptTimeout = "5 seconds"
}: ShutdownOptions) => ({ drain: Duration.toMillis(drainTimeout), interrupt: Duration.toMillis(interruptTimeout) })

interface ServerListenOptions extends Places {
  readonly reuseAddr?: boolean | undefined
  readonly reusePort?: ListenOptions["reusePort"] | undefined
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
  tls: isAny,
  proxyProtocol: isAny
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
export const isPlaceGiven = (given: Places): boolean => {
  const { additional, address, backlog, domain, fd, mode, path, port, proxyProtocol, tls } = given
  return isAnyGiven([additional, address, backlog, domain, fd, mode, path, port, proxyProtocol, tls])
}

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
  const complete = ({
    address = "",
    backlog,
    domain,
    fd,
    mode,
    path,
    port = 0,
    proxyProtocol,
    tls
  }: Place): ListenOptions => ({
    port,
    address,
    domain: domain ?? options.domain ?? "IPv4",
    path,
    mode,
    fd,
    tls,
    proxyProtocol,
    backlog: backlog ?? options.backlog ?? 511,
    reuseAddr: options.reuseAddr ?? true,
    reusePort: path === undefined && fd === undefined && (options.reusePort ?? false),
    onFull: options.onFull ?? "queue"
  })
  return [complete(placeOf(given, options)), ...(given.additional ?? options.additional ?? []).map(complete)]
}
