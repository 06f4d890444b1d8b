/**
 * What a client's connection needs of whatever carries its bytes: a link in memory, or a socket.
 *
 * @internal
 */
import type * as Option from "effect/Option"
import type { Address } from "../../../Address.js"

/** What takes the bytes at the client's end. */
export interface ClientEnd {
  /** Takes what the server has sent, as far as somebody reads. */
  readonly deliver: () => void
}

export interface ClientLink {
  /** The server's address. */
  readonly local: Option.Option<Address>
  /** Bytes that have come and that nobody has taken. */
  readonly unread: number
  /** How it has ended, behind those bytes. */
  readonly ending: "Open" | "FIN" | "RST"
  /** What it has ended by, other than FIN. */
  readonly failure: () => Error
  /** All that is unread, in one piece; the server may send on. */
  readonly take: () => Buffer
  /** Delivers once more, in an event of its own. */
  readonly look: () => void
  /** `done` when more may be sent, also when nothing can be any more. */
  readonly send: (bytes: Buffer, done: () => void) => void
  /** The client leaves: behind what it has sent, or at once. */
  readonly clientGone: (how: "FIN" | "RST") => void
}
