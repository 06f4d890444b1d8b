import { requests, type Workload } from "../workload.js"

export const work: Workload = { title: "pipelined by 16", order: 3, load: requests({ batch: 16 }), isQuick: true }
