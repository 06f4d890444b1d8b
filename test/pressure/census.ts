/** What this process holds at this moment. */
import { createHook, executionAsyncResource } from "node:async_hooks"
import { readdirSync } from "node:fs"
import { setImmediate } from "node:timers/promises"
import type { Census } from "./protocol.js"

/** The runtime lists only timers that keep the process alive; its hooks know the others too. */
const timers = new Set<number>()
let fired = 0

/** To be called before any timer is armed. It makes each asynchronous step slower, so it is enabled on request. */
export const watchTimers = (): void => {
  createHook({
    init: (id, type) => {
      if (type === "Timeout") timers.add(id)
    },
    before: (id) => {
      if (timers.has(id) && executionAsyncResource().constructor.name === "Timeout") fired++
    },
    destroy: (id) => {
      timers.delete(id)
    }
  }).enable()
}

/** What a collection finalizes is garbage for the next. */
const collect = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await setImmediate()
  }
}

/** All but what Effect counts. */
export const census = async (
  isWatching: boolean
): Promise<Pick<Census, "descriptors" | "fired" | "handles" | "heap" | "timers">> => {
  await collect()
  const resources = process.getActiveResourcesInfo()
  const armed = resources.filter((each) => each === "Timeout").length
  return {
    // Reading the folder opens one itself.
    descriptors: readdirSync("/proc/self/fd").length - 1,
    timers: isWatching ? timers.size : armed,
    fired,
    handles: resources.filter((each) => each !== "Timeout" && each !== "Immediate").length,
    heap: process.memoryUsage().heapUsed
  }
}
