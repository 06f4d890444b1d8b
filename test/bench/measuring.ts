/** How this run measures, and what each way of loading a server is to the bench. */
import type { Sample } from "./figures.js"
import type { Generator } from "./generator.js"
import type { Running } from "./server.js"

export interface Measuring {
  readonly generator: Generator
  /** Where a workload does not say how many. */
  readonly connections: number
  readonly seconds: number
  readonly rounds: number
  readonly serverCore: number
  readonly generatorCore: number
  /** The compiled bench, and what else is made for this run alone. */
  readonly folder: string
  /** Notes what a reader of the figures should know. */
  readonly remark: (text: string) => void
}

/** A workload, ready to be put on servers. */
export interface Loading {
  /** Whether each sample needs a process that has done nothing else. */
  readonly isFresh: boolean
  /** How many there are at once. */
  readonly connections: number
  /** Why it cannot be measured here. */
  readonly obstacle: string | undefined
  /** That the server gives the response: what responds wrongly may be as fast as it likes. */
  readonly check: (server: Running) => Promise<void>
  readonly warmUp: (server: Running) => Promise<void>
  /** One round. */
  readonly sample: (server: Running) => Promise<Sample>
}
