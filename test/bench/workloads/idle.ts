import type { Workload } from "../workload.js"

/** So many that what the heap keeps in reserve is little beside them. */
export const work: Workload = {
  title: "idle connections",
  order: 19,
  load: { _tag: "Idle", connections: 5000 }
}
