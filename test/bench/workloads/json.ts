import { expectedJson, requests, type Workload } from "../workload.js"

export const work: Workload = {
  title: "JSON of 1.4 KiB",
  order: 8,
  needs: "json",
  load: requests({ path: "/json", expected: expectedJson })
}
