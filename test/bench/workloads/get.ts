import { requests, type Workload } from "../workload.js"

export const work: Workload = { title: "small GET", order: 1, load: requests(), isQuick: true }
