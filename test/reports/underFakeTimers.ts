/**
 * Runs the scenarios of `realTime.ts` in this process, under the fake timers that its argument names; prints the titles of
 * those that continued.
 */
import { mock } from "node:test"
import * as FakeTimers from "@sinonjs/fake-timers"

/** Without `nextTick` and `queueMicrotask`: by these Node's own sockets continue, whatever the server does. */
const notOfSockets = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
  "Date",
  "performance",
  "hrtime"
]

const fakes: { readonly [name: string]: () => () => void } = {
  sinon: () => FakeTimers.install({ toFake: notOfSockets }).uninstall,
  "sinon, all of it": () => FakeTimers.install({}).uninstall,
  "node:test": () => {
    mock.timers.enable()
    return () => mock.timers.reset()
  }
}

const [, , name = "", when] = process.argv
const install = fakes[name]
if (install === undefined) throw new Error(`no fake timers are named ${name}`)

if (when === "before load") install()
const { scenarios } = await import("./realTime.js")
const going = scenarios.filter(({ isInMemory }) => name !== "sinon, all of it" || isInMemory === true)
for (const { run, title } of going) {
  let uninstall = (): void => {}
  await run(() => {
    if (when !== "before load") uninstall = install()
  })
  uninstall()
  console.log(title)
}
process.exit()
