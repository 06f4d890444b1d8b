/**
 * How the server parts from a connection on which it has said its last word.
 *
 * @internal
 */
import type { ExchangeImpl } from "./exchange.js"
import type { Line } from "./line.js"
import type { Farewell } from "./lingering.js"

export type { Farewell }

/** Bytes that a client receives without having confirmed any: less than the ten segments of RFC 6928. */
const firstFlight = 8 * 1024

export interface Leaving {
  /** The handler has failed behind the head of its answer, or has been cut off: at once, whatever is unsent. */
  readonly how: "Broken" | "Cut" | "Said"
  /** The last request, if there was one. */
  readonly exchange: ExchangeImpl | undefined
  /** The server closes. */
  readonly isHurried: boolean
}

/** Ends a connection; gives its farewell, if it lingers. */
export const part = (line: Line, { exchange, how, isHurried }: Leaving): Farewell | undefined => {
  const { connection, household, inbox } = line
  if (how === "Broken" && exchange?.isUpgraded === true) connection.abort()
  else if (how !== "Said") cut(line, exchange)
  else if (isSilent(line, exchange) && connection.unsent() === 0) connection.close()
  else {
    inbox.discard()
    connection.end()
    return household.lingering.add(connection, isHurried)
  }
  return undefined
}

/**
 * Ends a connection at once, whatever is unsent. Content that only the connection's end can end would be taken for whole:
 * by a reset it is not (RFC 9112 §8).
 */
export const cut = ({ connection }: Line, exchange: ExchangeImpl | undefined): void => {
  const isWhole = exchange?.isUntilClose !== true || (exchange.hasEvidence && connection.unsent() === 0)
  if (isWhole) connection.destroy()
  else connection.abort()
}

/**
 * Whether nothing can come that would be answered by a reset, and so take with it what the client has not read yet: the
 * server closes and all was read, or it has ended too, or it has said that it will send nothing more, and all that it
 * was sent fits into a first flight.
 */
const isSilent = ({ inbox, isBetween, isSettled, outbox }: Line, exchange: ExchangeImpl | undefined): boolean => {
  if (inbox.isEnded || isSettled) return true
  const isAnswered = exchange?.saysClose === true && !exchange.isUnread
  return isAnswered && inbox.isEmpty && isBetween && outbox.total <= firstFlight
}
