import { requests, type Workload } from "../workload.js"

export const work: Workload = {
  title: "a router with 50 routes",
  order: 11,
  needs: "platform",
  load: requests({ path: "/things25/42" })
}
