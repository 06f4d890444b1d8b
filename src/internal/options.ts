/**
 * What the options of a server may be that come from a configuration, or from code without types.
 *
 * @internal
 */
import type * as Duration from "effect/Duration"
import { senseless } from "../Limits.js"

type Sense = (given: unknown) => boolean

export const isBacklog: Sense = (given) => Number.isInteger(given) && Number(given) >= 0

/** Looked at when the server listens. */
const isAny: Sense = () => true

/** Any duration that a limit may be. */
const isTimeout: Sense = (given) => senseless({ lingerTimeout: given as Duration.DurationInput }) === undefined

const isOneOf =
  (...values: ReadonlyArray<string>): Sense =>
  (given) =>
    values.some((value) => value === given)

export const senses = {
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
  onFull: isOneOf("wait", "refuse"),
  onHalfClose: isOneOf("answer", "interrupt"),
  onConnect: isOneOf("refuse", "handle")
} as const satisfies Record<string, Sense>

/** The first of the options that is not one, or makes no sense. */
export const senselessIn = <Options extends object>(
  options: Options,
  senses: { readonly [K in keyof Options]-?: Sense }
): string | undefined =>
  Object.entries(options).find(
    ([name, value]) => value !== undefined && !(Object.hasOwn(senses, name) && senses[name as keyof Options](value))
  )?.[0]
