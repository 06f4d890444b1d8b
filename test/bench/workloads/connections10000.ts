import { requests, type Workload } from "../workload.js"

export const work: Workload = { title: "10,000 connections", order: 6, load: requests({ connections: 10_000 }) }
