/** Transient errors of `accept`, after which the listener continues. */
import type { OSError } from "../../Errors.js"

/** The system lacks a resource for now, or the client disconnected before it was accepted. */
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
