import { post, type Workload } from "../workload.js"

export const work: Workload = { title: "POST 1 KiB, length", order: 13, needs: "bodies", load: post(1024, "length") }
