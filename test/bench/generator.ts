/** What sends requests: `wrk`, or `autocannon` where it is missing. */
import type { Running } from "./server.js"
import type { Requests } from "./workload.js"

/** How it is to send them. */
export interface Run {
  /** A folder for the script that it is given. */
  readonly folder: string
  readonly connections: number
  readonly seconds: number
  readonly core: number | undefined
}

/** What came of it. */
export interface Sent {
  /** Number of responses. */
  readonly requests: number
  /** Responses per second. */
  readonly rate: number
  /** The server's own time, in microseconds a request. */
  readonly cpu: number
  /** So many microseconds a half, 99 of 100, and 999 of 1,000 took at most; left out where that is not known. */
  readonly p50?: number | undefined
  readonly p99?: number | undefined
  readonly p999?: number | undefined
  /** Connections that broke, and responses that did not come in time. */
  readonly troubles: number
}

export interface Generator {
  /** Its name and version. */
  readonly title: string
  /** What is less exact by it than it could be. */
  readonly remark?: string
  /** Why it cannot send these. */
  readonly lacks: (load: Requests, connections: number) => string | undefined
  readonly send: (server: Running, load: Requests, run: Run) => Promise<Sent>
}
