import { requests, type Workload } from "../workload.js"

export const work: Workload = {
  title: "a handler that waits 1 ms",
  order: 7,
  needs: "sleep",
  load: requests({ path: "/sleep" })
}
