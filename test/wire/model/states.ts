/** The commands, times and states of the model of a connection. */
import { type ErrorReason, errorReasons } from "../../../src/internal/errorReasons.js"
import type { Asked, Sends } from "./client.js"

/** The commands for a handler. */
export const orders = ["respond", "begin", "write", "end", "fail", "die", "read", "handOver"] as const
export type Order = (typeof orders)[number]

export type Command =
  | Sends
  | { readonly _tag: "Fin" | "Reset" | "StopReading" | "ReadSome" | "ReadOn" | "Drain" | "Interrupt" }
  | { readonly _tag: "Order"; readonly order: Order }
  | { readonly _tag: "Advance"; readonly seconds: number }

/** What a server can be made to do otherwise. */
export interface Choices {
  readonly onClientEnd: "continue" | "interrupt"
  readonly connectMethod: "reject" | "handle"
}

export const limits = { maxDiscardedBody: 100 }
export const seconds = {
  header: 10,
  body: 30,
  bodyTotal: 300,
  keepAlive: 75,
  keepAliveBuffer: 1,
  halfClose: 30,
  write: 30,
  linger: 1
}

/** Time passes in steps that are shorter than any two deadlines one after the other. */
export const stepsOf = (seconds: number): ReadonlyArray<number> =>
  seconds <= 10 ? [seconds] : [10, ...stepsOf(seconds - 10)]

export interface Handling {
  readonly _tag: "Handling"
  readonly asked: Asked
  response: "None" | "Open"
  /** What the head of an open response has promised. */
  reuse: boolean
  /** The handler waits for the body. */
  isReading: boolean
  /** The handler waits for the client to read. */
  isWriting: boolean
  isDone: boolean
  failed: boolean
  read: number
  continues: boolean
}

/** The handler has the connection: whatever comes is no HTTP. */
export interface HandedOver {
  readonly _tag: "HandedOver"
  isWriting: boolean
  received: string
}

export type Phase =
  | { readonly _tag: "Idle" | "ReadingHead" | "Lingering" | "Closed" }
  | Handling
  | HandedOver
  | { readonly _tag: "Skipping"; skipped: number }

export const never = Number.POSITIVE_INFINITY

export const refusal = (status: string, reason: ErrorReason | undefined): string => {
  const text = reason === undefined ? `${status}\n` : `${status}: ${errorReasons[reason].text}\n`
  const retryAfter = status.startsWith("503") ? "Retry-After: 1\r\n" : ""
  return `Content-Type: text/plain; charset=utf-8\r\n${retryAfter}Content-Length: ${text.length}\r\n\r\n${text}`
}
