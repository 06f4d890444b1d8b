/**
 * Why a connection ended.
 *
 * @internal
 */
export type CloseReason =
  /** The client ended it between two requests. */
  | "ClosedByClient"
  /** The server did: as the client or the handler asked, after the last request allowed, or because it is closing. */
  | "ClosedByServer"
  /** A request could not be understood, and was answered so. */
  | "BadRequest"
  /** Nothing came, or nothing was read, for too long. */
  | "TimedOut"
  /** The client left in the middle of a request. */
  | "ClientAborted"
  /** A handler failed after the head of its answer had left. */
  | "ResponseFailed"
  /** The connection was handed over, and has been given back. */
  | "Upgraded"
  /** It was cut off, by the closing server or by whoever holds its fiber. */
  | "Interrupted"
