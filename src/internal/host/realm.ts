/**
 * Whether a value is one of the built-in kinds, whatever realm it comes from.
 *
 * `instanceof` compares with the constructor of one realm, and test runners replace constructors: in a jsdom of Vitest's
 * `Uint8Array` is the window's, and a `Buffer` is none. What Node looks at instead is what the value has inside.
 *
 * @internal
 */
import { types } from "node:util"

export const isUint8Array = (value: unknown): value is Uint8Array => types.isUint8Array(value)

/** An `ArrayBuffer`, or a `SharedArrayBuffer`. */
export const isArrayBuffer = (value: unknown): value is ArrayBufferLike => types.isAnyArrayBuffer(value)

export const isRegExp = (value: unknown): value is RegExp => types.isRegExp(value)

/** Anything that says what went wrong: an `Error` of any realm, a `DOMException`, or what is thrown in their place. */
export const isErrorLike = (value: unknown): value is { readonly message: string } =>
  typeof value === "object" && value !== null && "message" in value && typeof value.message === "string"

/** An `Error` of any realm, or the `Proxy` in which Effect wraps one that fails in a span. Nothing of it is computed. */
export const isError = (value: unknown): value is Error =>
  typeof value === "object" && value !== null && "message" in value && "stack" in value
