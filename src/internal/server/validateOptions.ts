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

/** Where to listen, and how: options of a server, and of its `listen` and `serve`. */
type Given = { readonly [K in keyof ListenOptions]?: ListenOptions[K] | undefined }

export const invalidBacklog = ({ backlog }: Pick<Given, "backlog">): string | undefined =>
  firstInvalidOption({ backlog }, validators)

/** The options of a listener: the given ones, completed by those of the server and by defaults. */
export const listenOptionsOf = (given: Given, options: Given): ListenOptions => ({
  port: given.port ?? options.port ?? 0,
  address: given.address ?? options.address ?? "",
  domain: given.domain ?? options.domain ?? "IPv4",
  backlog: given.backlog ?? options.backlog ?? 511,
  reuseAddr: options.reuseAddr ?? true,
  reusePort: options.reusePort ?? false,
  onFull: options.onFull ?? "queue"
})
