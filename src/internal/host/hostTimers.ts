/**
 * The timers and the monotonic clock of Node, captured when this module is loaded.
 *
 * Test runners replace `setTimeout`, `setImmediate`, `performance` and others in the global object. A server that used those
 * would stop with the clock of the test, though sockets do not. They are imported from `node:timers` and `node:perf_hooks`,
 * because in a browser-like environment the globals are those of the window: timers that are numbers, and no `setImmediate`
 * (jest-environment-jsdom).
 */
import { performance } from "node:perf_hooks"
import * as timers from "node:timers"
import { promisify } from "node:util"

/** A fake of `@sinonjs/fake-timers`, as in Vitest, Jest and Sinon: its clock has the original functions. */
interface Fake {
  readonly clock?: { readonly [original: string]: unknown }
}

/** The original of a function that a fake has replaced, if the fake keeps it. */
const original = <F extends (...args: never) => unknown>(name: string, current: F): F => {
  const kept = (current as Fake).clock?.[`_${name}`]
  // The fake keeps the function that it replaced, of the same type, under this name.
  return typeof kept === "function" ? (kept as F) : current
}

export const setTimeout: typeof timers.setTimeout = original("setTimeout", timers.setTimeout)
export const clearTimeout: typeof timers.clearTimeout = original("clearTimeout", timers.clearTimeout)
export const setInterval: typeof timers.setInterval = original("setInterval", timers.setInterval)
export const clearInterval: typeof timers.clearInterval = original("clearInterval", timers.clearInterval)
export const setImmediate: typeof timers.setImmediate = original("setImmediate", timers.setImmediate)
export const clearImmediate: typeof timers.clearImmediate = original("clearImmediate", timers.clearImmediate)

/** Milliseconds since the start of this process; unaffected by changes of the wall clock. */
export const monotonicNow: () => number = performance.now.bind(performance)

const { timeOrigin } = performance

/** The wall clock, for `Date` where there is no `Clock`. */
export const wallNow = (): number => Date.now()

/** The wall clock as it was set at the start of this process: the fallback for a mocked clock without a valid date. */
export const processNow = (): number => timeOrigin + monotonicNow()

/** Maximum delay of a timer of Node, in milliseconds; a longer one fires at once. */
export const maxTimer = 2 ** 31 - 1

/** Node's own function has a promisified form; fakes have none. */
const isNodes = (setTimeout: object): boolean => promisify.custom in setTimeout

if (!isNodes(setTimeout)) {
  process.emitWarning(
    "effect-asynchttpserver was loaded after timers had been replaced, and cannot find the original ones: " +
      "servers stop with the replaced timers. Import the package before fake timers are installed.",
    { code: "EFFECT_ASYNCHTTPSERVER_FAKE_TIMERS" }
  )
}
