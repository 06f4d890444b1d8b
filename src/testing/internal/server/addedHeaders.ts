/** Exchange that adds header fields to a response before it is written. */
import * as HttpHeaders from "../../../HttpHeaders.js"
import type { Exchange } from "../../../internal/message/exchange.js"
import { DelegatingExchange } from "./delegatingExchange.js"

/** The given fields, followed by the added ones whose names are not among them. */
export const withHeaders = (
  given: HttpHeaders.Input = HttpHeaders.empty,
  added: HttpHeaders.Input
): HttpHeaders.HttpHeaders => {
  const own = HttpHeaders.make(given)
  return HttpHeaders.make([
    ...own,
    ...Array.from(HttpHeaders.make(added)).filter(([name]) => !HttpHeaders.has(own, name))
  ])
}

export class HeaderAddingExchange extends DelegatingExchange {
  constructor(
    inner: Exchange,
    private readonly added: HttpHeaders.Input
  ) {
    super(inner)
  }

  override readonly respond: Exchange["respond"] = (code, content, headers) =>
    this.inner.respond(code, content, withHeaders(headers, this.added))

  override readonly startResponse: Exchange["startResponse"] = (code, headers) =>
    this.inner.startResponse(code, withHeaders(headers, this.added))
}
