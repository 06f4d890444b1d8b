/**
 * An exchange that adds header fields to an answer, before it is written.
 *
 * @internal
 */
import * as HttpHeaders from "../../HttpHeaders.js"
import type { Exchange } from "../../internal/exchange.js"
import { ExchangeAround } from "./exchangeAround.js"

export class AddedHeaders extends ExchangeAround {
  private readonly added: HttpHeaders.HttpHeaders

  constructor(inner: Exchange, headers: HttpHeaders.Input) {
    super(inner)
    this.added = HttpHeaders.make(headers)
  }

  /** What the handler says itself stays as it is. */
  private readonly with = (given: HttpHeaders.Input | undefined): HttpHeaders.HttpHeaders => {
    const own = HttpHeaders.make(given ?? HttpHeaders.empty)
    return HttpHeaders.make([...own, ...Array.from(this.added).filter(([name]) => !HttpHeaders.has(own, name))])
  }

  override readonly respond: Exchange["respond"] = (code, content, headers) =>
    this.inner.respond(code, content, this.with(headers))

  override readonly begin: Exchange["begin"] = (code, headers) => this.inner.begin(code, this.with(headers))
}
