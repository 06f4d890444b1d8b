/** Validation of limits and description of invalid options, for `Limits` and for the options of a server. */
import * as Duration from "effect/Duration"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"

/** A whole number of bytes or items, from 0; `Infinity` is no bound. */
const isSize = (value: unknown): boolean =>
  typeof value === "number" && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY) && value >= 0

/** A duration that Effect decodes. Effect takes negative values and NaN for 0, which is never intended. */
export const isTimeout = (value: unknown): boolean => {
  if (typeof value === "number") return value >= 0
  return !String(value).startsWith("-") && Option.isSome(Duration.decodeUnknown(value))
}

/** An option and its value, as a `ValueError` `Option` names them. */
export const describeOption = (name: string, value: unknown): string =>
  `${name}: ${Inspectable.toStringUnknown(value, 0)}`

/** Description of the first limit that is unknown or invalid, or `undefined`. The kind of a limit is that of its default. */
export const firstInvalidLimit = (options: object, defaults: object): string | undefined => {
  const kinds = new Map<string, unknown>(Object.entries(defaults))
  const isValid = (name: string, value: unknown): boolean =>
    kinds.has(name) && (Duration.isDuration(kinds.get(name)) ? isTimeout(value) : isSize(value))
  const invalid = Object.entries(options).find(([name, value]) => value !== undefined && !isValid(name, value))
  return invalid && describeOption(...invalid)
}
