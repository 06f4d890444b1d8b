/**
 * How the server parts from a connection on which it has said its last word.
 *
 * @internal
 */

import type { ConnectionBase } from "./connectionBase.js"
import type { ExchangeImpl } from "./exchange.js"
import type { LingeringConnection } from "./lingeringClose.js"

export type { LingeringConnection }

/** Bytes that a client receives without having confirmed any: less than the ten segments of RFC 6928. */
const initialWindow = 8 * 1024

export interface CloseRequest {
  /** The handler has failed behind the head of its answer, or has been cut off: at once, whatever is unsent. */
  readonly mode: "Failed" | "Immediate" | "Graceful"
  /** The last request, if there was one. */
  readonly exchange: ExchangeImpl | undefined
  /** The server closes. */
  readonly isShuttingDown: boolean
}

/** Ends a connection; gives its farewell, if it lingers. */
export const closeGracefully = (
  line: ConnectionBase,
  { exchange, mode: how, isShuttingDown: isHurried }: CloseRequest
): LingeringConnection | undefined => {
  const { connection, context, receiveBuffer } = line
  if (how === "Failed" && exchange?.isUpgraded === true) connection.abort()
  else if (how !== "Graceful") closeNow(line, exchange)
  else if (canCloseWithoutReset(line, exchange) && connection.unsent() === 0) connection.close()
  else {
    receiveBuffer.discard()
    connection.end()
    return context.lingering.add(connection, isHurried)
  }
  return undefined
}

/**
 * Ends a connection at once, whatever is unsent. Content that only the connection's end can end would be taken for whole:
 * by a reset it is not (RFC 9112 §8).
 */
export const closeNow = ({ connection }: ConnectionBase, exchange: ExchangeImpl | undefined): void => {
  const isWhole = exchange?.isCloseDelimited !== true || (exchange.isComplete && connection.unsent() === 0)
  if (isWhole) connection.destroy()
  else connection.abort()
}

/**
 * Whether nothing can come that would be answered by a reset, and so take with it what the client has not read yet: the
 * server closes and all was read, or it has ended too, or it has said that it will send nothing more, and all that it
 * was sent fits into a first flight.
 */
const canCloseWithoutReset = (
  { receiveBuffer, isBetweenRequests: isBetween, isDrained: isSettled, writeBuffer }: ConnectionBase,
  exchange: ExchangeImpl | undefined
): boolean => {
  if (receiveBuffer.isEnded || isSettled) return true
  const isAnswered = exchange?.clientSentClose === true && !exchange.hasUnreadBody
  return isAnswered && receiveBuffer.isEmpty && isBetween && writeBuffer.totalBytes <= initialWindow
}
