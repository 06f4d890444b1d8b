/** Requests that are refused for their target, before a handler is called. */
import type { Connection } from "../../Connection.js"
import type { RequestHead } from "../../RequestParser.js"
import { type Malformed, malformed } from "../http1/parseResult.js"
import { effectiveSchemeOf } from "../message/request.js"
import type { ServerState } from "./serverState.js"

const isHttps = /^https:/i

/**
 * The reason to refuse a request: CONNECT that is not handled, whose following bytes are not HTTP (RFC 9110 §9.3.6); a target of
 * `https` that was not sent by TLS, neither to this server nor to a trusted proxy (RFC 9110 §7.4, §15.5.20).
 */
export const refusedTarget = (
  head: RequestHead,
  connection: Connection,
  { connectMethod, proxies }: Pick<ServerState, "connectMethod" | "proxies">
): Malformed | undefined => {
  if (head.method === "CONNECT") return connectMethod === "reject" ? malformed("MethodUnknown", "CONNECT") : undefined
  // The usual form first.
  if (head.target.charCodeAt(0) === 0x2f || !isHttps.test(head.target)) return undefined
  return effectiveSchemeOf(head, connection, proxies) === "https" ? undefined : malformed("Scheme", head.target)
}
