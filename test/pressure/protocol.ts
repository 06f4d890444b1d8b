/** Messages to and from a process under pressure. */
import type { Options } from "../../src/Server.js"

/** What a process holds; two of them are compared. */
export interface Census {
  /** Entries of /proc/self/fd. */
  readonly descriptors: number
  /** Descriptors that the budget counts. */
  readonly held: number
  /** Fibers that are alive, those that listen and serve among them. */
  readonly fibers: number
  /** Handlers that have begun and not ended. */
  readonly handlers: number
  /** Handlers that have begun, ever; those that answer in no fiber apart. */
  readonly begun: number
  /** Timers that are armed, whether they keep the process alive or not, and how many have fired. */
  readonly timers: number
  readonly fired: number
  /** Whatever else the event loop waits for: sockets, servers, pipes, requests under way. */
  readonly handles: number
  /** Bytes of objects, after a collection. */
  readonly heap: number
}

export type Question =
  | { readonly _tag: "Census" }
  | { readonly _tag: "Listen"; readonly options: Options }
  /** By `Server.close`, or by the end of the scope. */
  | { readonly _tag: "Close"; readonly port: number; readonly by: "close" | "scope" }
  /** So many fibers interrupted, with no server around them. */
  | { readonly _tag: "BareFibers"; readonly count: number }

export interface Closed {
  /** What `close` reported; nothing when the scope ended. */
  readonly report: unknown
  readonly milliseconds: number
  /** Of the processor: what a busy machine has added is not among them. */
  readonly processor: number
}

/** Questions are answered in their own time, and not in their order. */
export interface Numbered<A> {
  readonly number: number
  readonly content: A
}

/** The channel carries JSON, which has no infinity: a timeout may have none. */
const infinite = "Infinity"

export const toText = (question: Question): string =>
  JSON.stringify(question, (_, value: unknown) => (value === Number.POSITIVE_INFINITY ? infinite : value))

export const fromText = (text: string): Question =>
  JSON.parse(text, (_, value: unknown) => (value === infinite ? Number.POSITIVE_INFINITY : value))

/** What became of a question. */
export type Reply = { readonly response: unknown } | { readonly failure: string }

/** Which server a process serves with. */
export type Which = "ours" | "nodeHttp"
