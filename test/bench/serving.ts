/**
 * The process of a peer that is written for Node: serves the peer that its argument names, prints the port, and tells
 * the bench what it asks for.
 */
import { type PerformanceEntry, PerformanceObserver } from "node:perf_hooks"
import { setImmediate } from "node:timers/promises"
import type { NodePeer } from "./peer.js"

/** The statistics that a peer reports. */
export interface Memory {
  /** Milliseconds of garbage collection, since it began. */
  readonly collecting: number
  /** Bytes of objects, dead ones among them unless it has just collected. */
  readonly heap: number
}

export type Question = "tell" | "collect"

let collecting = 0
const observer = new PerformanceObserver((list) => count(list.getEntries()))
const count = (entries: ReadonlyArray<PerformanceEntry>): void => {
  for (const { duration } of entries) collecting += duration
}
observer.observe({ entryTypes: ["gc"] })

process.on("message", async (question: Question) => {
  if (question === "collect") {
    // What a collection finalizes is garbage for the next.
    for (let i = 0; i < 3; i++) {
      globalThis.gc?.()
      await setImmediate()
    }
  }
  count(observer.takeRecords())
  const memory: Memory = { collecting, heap: process.memoryUsage().heapUsed }
  process.send?.(memory)
})
// The bench has gone, however it went.
process.on("disconnect", () => process.exit())

const { peer }: { readonly peer: NodePeer } = await import(`./peers/${process.argv[2]}.js`)
console.log(await peer.serve())
