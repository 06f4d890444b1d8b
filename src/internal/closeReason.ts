/**
 * Reason for the end of a connection.
 *
 * @internal
 */
export type CloseReason =
  /** The client closed it between two requests. */
  | "ClosedByClient"
  /** The server closed it: on request of the client or the handler, after the last allowed request, or at shutdown. */
  | "ClosedByServer"
  /** A malformed request was rejected with an error response. */
  | "BadRequest"
  /** A timeout expired: nothing was received, or nothing was read by the client. */
  | "TimedOut"
  /** The client disconnected in the middle of a request. */
  | "ClientAborted"
  /** A handler failed after the head of its response was sent. */
  | "ResponseFailed"
  /** The connection was upgraded, and its use has completed. */
  | "Upgraded"
  /** It was interrupted, at shutdown or by an interruption of its fiber. */
  | "Interrupted"
