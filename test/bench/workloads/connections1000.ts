import { requests, type Workload } from "../workload.js"

export const work: Workload = { title: "1,000 connections", order: 5, load: requests({ connections: 1000 }) }
