/** Validation of server options that come from a configuration, or from code without types. */
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

/** Where to listen: options of a server, and of its `listen` and `serve`. */
interface ListenAddress {
  readonly port?: number | undefined
  readonly address?: string | undefined
  readonly domain?: ListenOptions["domain"] | undefined
  readonly backlog?: number | undefined
}

interface ServerListenOptions extends ListenAddress {
  readonly reuseAddr?: boolean | undefined
  readonly reusePort?: boolean | undefined
  readonly onFull?: ListenOptions["onFull"] | undefined
}

/** The options of a listener: the given ones, completed by those of the server and by defaults. */
export const listenOptionsOf = (given: ListenAddress, options: ServerListenOptions): ListenOptions => ({
  port: given.port ?? options.port ?? 0,
  address: given.address ?? options.address ?? "",
  domain: given.domain ?? options.domain ?? "IPv4",
  backlog: given.backlog ?? options.backlog ?? 511,
  reuseAddr: options.reuseAddr ?? true,
  reusePort: options.reusePort ?? false,
  onFull: options.onFull ?? "queue"
})
