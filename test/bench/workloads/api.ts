import { product } from "../content.js"
import { requests, type Workload } from "../workload.js"

export const work: Workload = {
  title: "an endpoint of an HttpApi, JSON",
  order: 12,
  needs: "platform",
  load: requests({ path: "/products/1000", expected: JSON.stringify(product) })
}
