import { post, type Workload } from "../workload.js"

export const work: Workload = { title: "POST 1 KiB, chunked", order: 14, needs: "chunked", load: post(1024, "chunked") }
