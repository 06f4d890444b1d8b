import { requests, type Workload } from "../workload.js"

export const work: Workload = {
  title: "a router with one route",
  order: 10,
  needs: "platform",
  load: requests({ path: "/route" })
}
