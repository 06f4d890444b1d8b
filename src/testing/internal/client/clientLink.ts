/** The transport of a client's connection: a link in memory, or a socket. */
import type * as Option from "effect/Option"
import type { Address } from "../../../Address.js"

/** The client's end, which receives the bytes. */
export interface ClientEnd {
  /** Takes the received bytes, unless a response body must be read first. */
  readonly deliver: () => void
}

export interface ClientLink {
  /** The server's address. */
  readonly local: Option.Option<Address>
  /** Bytes that have been received and not taken. */
  readonly unread: number
  /** How the server has ended it, after those bytes. */
  readonly ending: "Open" | "FIN" | "RST"
  /** The error of a connection that was reset. */
  readonly failure: () => Error
  /** Takes all unread bytes as one piece, after which the server may send more. */
  readonly take: () => Buffer
  /** Calls `deliver` again, in a later turn of the event loop. */
  readonly scheduleDelivery: () => void
  /** Sends bytes; `done` is called when more may be sent, or when the connection has ended. */
  readonly send: (bytes: Buffer, done: () => void) => void
  /** Ends the connection from the client's side: after what it has sent, or at once. */
  readonly endByClient: (how: "FIN" | "RST") => void
}
