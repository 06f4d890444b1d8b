/** Exchange that adds header fields to a response before it is written. */
import * as HttpHeaders from "../../../HttpHeaders.js"
import type { Exchange } from "../../../internal/message/exchange.js"
import { DelegatingExchange } from "./delegatingExchange.js"

export class HeaderAddingExchange extends DelegatingExchange {
  private readonly added: HttpHeaders.HttpHeaders

  constructor(inner: Exchange, headers: HttpHeaders.Input) {
    super(inner)
    this.added = HttpHeaders.make(headers)
  }

  /** The handler's fields take precedence. */
  private readonly merge = (given: HttpHeaders.Input | undefined): HttpHeaders.HttpHeaders => {
    const own = HttpHeaders.make(given ?? HttpHeaders.empty)
    return HttpHeaders.make([...own, ...Array.from(this.added).filter(([name]) => !HttpHeaders.has(own, name))])
  }

  override readonly respond: Exchange["respond"] = (code, content, headers) =>
    this.inner.respond(code, content, this.merge(headers))

  override readonly startResponse: Exchange["startResponse"] = (code, headers) =>
    this.inner.startResponse(code, this.merge(headers))
}
