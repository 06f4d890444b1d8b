/** A workload: what is asked of every peer. Each is a file of workloads/, which exports one as `work`. */
import { catalogue, text } from "./content.js"
import { modulesOf } from "./folder.js"
import type { Need } from "./peer.js"

/** A request, sent again and again by every connection as soon as it has got its response. */
export interface Requests {
  readonly _tag: "Requests"
  readonly path: string
  /** The content of its response. */
  readonly expected: string
  /** Besides Host. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: { readonly size: number; readonly framing: "length" | "chunked" } | undefined
  /** What is left out is `--connections`. */
  readonly connections: number | undefined
  /** So many are sent at once, and their responses awaited. */
  readonly batch: number
  /** Each request comes by a connection of its own. */
  readonly closes: boolean
}

/** 100 MiB, by one connection, again and again. */
export interface Streaming {
  readonly _tag: "Streaming"
  readonly direction: "down" | "up"
}

/** Connections that have each been served a request, and say nothing more. */
export interface Idle {
  readonly _tag: "Idle"
  readonly connections: number
}

export type Load = Requests | Streaming | Idle

export interface Workload {
  readonly title: string
  /** Where it stands among the others. */
  readonly order: number
  /** What it asks of a peer beyond the response to `GET /`. */
  readonly needs?: Need
  readonly load: Load
  /** One of the few that `--quick` runs. */
  readonly isQuick?: boolean
}

const plain: Requests = {
  _tag: "Requests",
  path: "/",
  expected: text,
  headers: [],
  body: undefined,
  connections: undefined,
  batch: 1,
  closes: false
}

/** `GET /`, but for what is given. */
export const requests = (given: Partial<Requests> = {}): Requests => ({ ...plain, ...given })

/** A body to be read whole. */
export const post = (size: number, framing: "length" | "chunked"): Requests =>
  requests({ path: "/bytes", body: { size, framing }, expected: String(size) })

export const expectedJson = JSON.stringify(catalogue)

/** By name, in order. */
export const readWorkloads = async (): Promise<ReadonlyMap<string, Workload>> => {
  const found = await modulesOf<Workload>("workloads", "work")
  return new Map([...found].sort(([, one], [, other]) => one.order - other.order))
}
