/**
 * What the options of a server may be that come from a configuration, or from code without types.
 *
 * @internal
 */
import { defaults, type Options as LimitOptions } from "../../Limits.js"
import type { ListenOptions } from "../../Listener.js"
import { describeOption as describe, firstInvalidLimit, isTimeout } from "../limits.js"

export { describe }

type Validator = (given: unknown) => boolean

export const isBacklog: Validator = (given) => Number.isInteger(given) && Number(given) >= 0

/** Looked at when the server listens. */
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

/** Options completed with defaults: one that is `undefined`, as a configuration may have it, was not given. */
export const withDefaults = <Given extends object, Defaults extends object>(
  given: Given | undefined,
  defaults: Defaults
): Defaults & Given => {
  const options = Object.entries(given ?? {}).filter(([, value]) => value !== undefined)
  // What is left of each is of its own type.
  return { ...defaults, ...Object.fromEntries(options) } as Defaults & Given
}

/** The first of the options that is not one, or makes no sense, as it is said. */
const firstInvalidIn = <Options extends object>(
  options: Options,
  senses: { readonly [K in keyof Options]-?: Validator }
): string | undefined => {
  const isOne = (name: string): name is keyof Options & string => Object.hasOwn(senses, name)
  const wrong = Object.entries(options).find(
    ([name, value]) => value !== undefined && !(isOne(name) && senses[name](value))
  )
  if (wrong === undefined) return undefined
  const [name, value] = wrong
  return isOne(name) ? describe(name, value) : `${name}, which is none`
}

interface Bounded {
  readonly limits?: LimitOptions | undefined
  readonly maxBody?: number | undefined
}

/** `maxBody` is a limit that has a place of its own besides. */
export const limitOptionsOf = ({ limits, maxBody }: Bounded): LimitOptions =>
  maxBody === undefined ? { ...limits } : { ...limits, maxBody }

/** The first option that makes no sense; the server is made with the defaults then, and refuses to listen. */
export const firstInvalid = <Options extends Bounded>(
  options: Options,
  senses: { readonly [K in keyof Options]-?: Validator }
): string | undefined => firstInvalidIn(options, senses) ?? firstInvalidLimit(limitOptionsOf(options), defaults)

/** Where to listen, as a server and its `serve` may both be given it. */
interface Place {
  readonly port?: number | undefined
  readonly address?: string | undefined
  readonly domain?: ListenOptions["domain"] | undefined
  readonly backlog?: number | undefined
}

interface Listening extends Place {
  readonly reuseAddr?: boolean | undefined
  readonly reusePort?: boolean | undefined
  readonly onFull?: ListenOptions["onFull"] | undefined
}

/** The options of a listener: what was given, completed by the options of the server and by defaults. */
export const listenOptionsOf = (given: Place, options: Listening): ListenOptions => ({
  port: given.port ?? options.port ?? 0,
  address: given.address ?? options.address ?? "",
  domain: given.domain ?? options.domain ?? "IPv4",
  backlog: given.backlog ?? options.backlog ?? 511,
  reuseAddr: options.reuseAddr ?? true,
  reusePort: options.reusePort ?? false,
  onFull: options.onFull ?? "queue"
})
