import { requests, type Workload } from "../workload.js"

export const work: Workload = {
  title: "a connection per request",
  order: 4,
  load: requests({ closes: true })
}
