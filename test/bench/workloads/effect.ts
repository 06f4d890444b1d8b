import { requests, type Workload } from "../workload.js"

export const work: Workload = {
  title: "Effect.gen: service, span, log",
  order: 9,
  needs: "effect",
  load: requests({ path: "/effect" })
}
