/**
 * Closing a connection after the final response: at once, with FIN, by reset, or by lingering close (RFC 9112 §9.6).
 */

import type { ConnectionBase } from "./connectionBase.js"
import type { ExchangeImpl } from "./exchange.js"
import type { LingeringConnection } from "./lingeringClose.js"

/** Bytes that reach a client before its first acknowledgment: less than the ten segments of RFC 6928. */
const initialWindow = 8 * 1024

interface CloseRequest {
  /** "Failed": the response could not be completed (`ResponseFailed`). "Immediate": close at once, whatever is unsent. */
  readonly mode: "Failed" | "Immediate" | "Graceful"
  readonly exchange: ExchangeImpl | undefined
  /** True if the server is shutting down, which shortens the lingering close. */
  readonly isShuttingDown: boolean
}

/** Closes a connection; returns its lingering close, if there is one. */
export const closeConnection = (
  base: ConnectionBase,
  { exchange, mode, isShuttingDown }: CloseRequest
): LingeringConnection | undefined => {
  const { receiveBuffer, server, transport } = base
  if (mode === "Failed" && exchange?.isUpgraded === true) transport.abort()
  else if (mode !== "Graceful") closeNow(base, exchange)
  else if (canCloseWithoutReset(base, exchange) && transport.unsent() === 0) transport.close()
  else {
    receiveBuffer.discard()
    transport.end()
    return server.lingering.add(transport, isShuttingDown)
  }
  return undefined
}

/**
 * Closes a connection at once, whatever is unsent. Close-delimited content that is incomplete ends by a reset, since a FIN
 * would make it look complete (RFC 9112 §8).
 */
export const closeNow = ({ transport }: ConnectionBase, exchange: ExchangeImpl | undefined): void => {
  const isComplete = exchange?.isCloseDelimited !== true || (exchange.isComplete && transport.unsent() === 0)
  if (isComplete) transport.destroy()
  else transport.abort()
}

/**
 * True if no more input can arrive. Input after the close would be met by a reset, which discards what the client has not
 * read yet. So it is after the client's FIN; in a shutdown, once the client has received everything; or after a request
 * with `Connection: close`, if all that was sent fits into the initial window.
 */
const canCloseWithoutReset = (
  { receiveBuffer, isBetweenRequests, isSettledForShutdown, writeBuffer }: ConnectionBase,
  exchange: ExchangeImpl | undefined
): boolean => {
  if (receiveBuffer.isEnded || isSettledForShutdown) return true
  const isLastRequest = exchange?.clientSentClose === true && !exchange.hasUnreadBody
  return isLastRequest && receiveBuffer.isEmpty && isBetweenRequests && writeBuffer.totalBytes <= initialWindow
}
