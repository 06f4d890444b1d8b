/**
 * Type guards for built-in objects of any realm.
 *
 * `instanceof` compares with the constructor of one realm, and test runners replace constructors: in Vitest's jsdom
 * environment `Uint8Array` is that of the window, and a `Buffer` is no instance of it. Node's `types` check internal slots.
 */
import { types } from "node:util"

export const isUint8Array = (value: unknown): value is Uint8Array => types.isUint8Array(value)

/** An `ArrayBuffer`, or a `SharedArrayBuffer`. */
export const isArrayBuffer = (value: unknown): value is ArrayBufferLike => types.isAnyArrayBuffer(value)

export const isRegExp = (value: unknown): value is RegExp => types.isRegExp(value)

/** Any object with a message: an `Error` of any realm, a `DOMException`, or a similar object. */
export const isErrorLike = (value: unknown): value is { readonly message: string } =>
  typeof value === "object" && value !== null && "message" in value && typeof value.message === "string"

/** An `Error` of any realm, or the `Proxy` in which Effect wraps one that fails in a span. No getter is called. */
export const isError = (value: unknown): value is Error =>
  typeof value === "object" && value !== null && "message" in value && "stack" in value
