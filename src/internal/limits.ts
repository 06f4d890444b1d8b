/** Validation of the limits and the options of a server, which may come from a configuration or from code without types. */
import * as Duration from "effect/Duration"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"

export type Validator = (value: unknown) => boolean

/** A whole number of bytes or items, from 0; `Infinity` is no bound. */
const isSize: Validator = (value) =>
  typeof value === "number" && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY) && value >= 0

/** A duration that Effect decodes. Effect takes negative values and NaN for 0, which is never intended. */
export const isTimeout: Validator = (value) => {
  if (typeof value === "number") return value >= 0
  return !String(value).startsWith("-") && Option.isSome(Duration.decodeUnknown(value))
}

/** A validator for each option. */
export type Validators<Options> = { readonly [K in keyof Options]-?: Validator }

/**
 * Description of the first unknown or invalid option, as a `ValueError` `Option` has it. One that is `undefined`, as in a
 * configuration, counts as not given.
 */
export const firstInvalidOption = <Options extends object>(
  options: Options,
  validators: Validators<Options>
): string | undefined => {
  const known = new Map<string, Validator>(Object.entries(validators))
  for (const [name, value] of Object.entries(options)) {
    const isValid = known.get(name)
    if (value === undefined || isValid?.(value) === true) continue
    return `${name}: ${isValid === undefined ? "unknown option" : Inspectable.toStringUnknown(value, 0)}`
  }
  return undefined
}

/** Description of the first unknown or invalid limit. The kind of a limit, a size or a duration, is that of its default. */
export const firstInvalidLimit = (options: object, defaults: object): string | undefined =>
  firstInvalidOption(
    options,
    Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [name, Duration.isDuration(value) ? isTimeout : isSize])
    )
  )
