/**
 * Which errors of the system pass by themselves.
 *
 * @internal
 */
import type { OSError } from "../../Errors.js"

/** The system was short of something, or the client left before it was accepted: others can still be served. */
const codes: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ECONNABORTED",
  "ECONNRESET",
  "EINTR",
  "EPROTO",
  "EAGAIN",
  "ENETDOWN",
  "EHOSTUNREACH",
  "ENETUNREACH"
])

export const isTransient = (error: OSError): boolean => codes.has(error.code)
