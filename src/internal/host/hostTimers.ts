/**
 * The timers and the monotonic clock of Node, taken once, when this module is loaded.
 *
 * Test runners replace `setTimeout`, `setImmediate`, `performance` and their like in the global object, and what looks them
 * up when it needs them stops with the time of the test: a server would neither close nor serve. Sockets do not stop, so
 * what follows their events does not either. They come from `node:timers` and `node:perf_hooks`, because in a browser-like
 * environment the globals are the window's: timers that are numbers, and no `setImmediate` (jest-environment-jsdom).
 *
 * @internal
 */
import { performance } from "node:perf_hooks"
import * as timers from "node:timers"
import { promisify } from "node:util"

/** A fake of `@sinonjs/fake-timers`, which Vitest, Jest and Sinon use, refers to its clock, and that to what it replaced. */
interface Fake {
  readonly clock?: { readonly [original: string]: unknown }
}

/** A function as it was before a fake was installed, where the fake knows it. */
const original = <F extends (...args: never) => unknown>(name: string, found: F): F => {
  const before = (found as Fake).clock?.[`_${name}`]
  // What a fake keeps under this name is the function that it replaced, of the same type.
  return typeof before === "function" ? (before as F) : found
}

export const setTimeout: typeof timers.setTimeout = original("setTimeout", timers.setTimeout)
export const clearTimeout: typeof timers.clearTimeout = original("clearTimeout", timers.clearTimeout)
export const setInterval: typeof timers.setInterval = original("setInterval", timers.setInterval)
export const clearInterval: typeof timers.clearInterval = original("clearInterval", timers.clearInterval)
export const setImmediate: typeof timers.setImmediate = original("setImmediate", timers.setImmediate)
export const clearImmediate: typeof timers.clearImmediate = original("clearImmediate", timers.clearImmediate)

/** Milliseconds since this process began; never set back or forward, as the wall clock is. */
export const monotonicNow: () => number = performance.now.bind(performance)

const { timeOrigin } = performance

/** The wall clock, by which `Date` goes where there is no `Clock`: as whatever sets it has set it. */
export const wallNow = (): number => Date.now()

/** The wall clock as it was set when this process began, whatever has been set since: for where a mocked one has no date. */
export const processNow = (): number => timeOrigin + monotonicNow()

/** The longest time that a timer of Node can wait, in milliseconds; a longer one fires at once. */
export const maxTimer = 2 ** 31 - 1

/** Node's own function has a form for promises; no fake but those that know their original has one. */
const isNodes = (setTimeout: object): boolean => promisify.custom in setTimeout

if (!isNodes(setTimeout)) {
  process.emitWarning(
    "effect-asynchttpserver was loaded after timers had been replaced, and cannot find the original ones: " +
      "servers stop with the replaced timers. Import the package before fake timers are installed.",
    { code: "EFFECT_ASYNCHTTPSERVER_FAKE_TIMERS" }
  )
}
