import type { Workload } from "../workload.js"

export const work: Workload = {
  title: "100 MiB streamed up",
  order: 18,
  needs: "upload",
  load: { _tag: "Streaming", direction: "up" }
}
