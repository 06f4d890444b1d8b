import type { Workload } from "../workload.js"

export const work: Workload = {
  title: "100 MiB streamed down",
  order: 17,
  needs: "download",
  load: { _tag: "Streaming", direction: "down" }
}
