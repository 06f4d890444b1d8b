/**
 * An exchange that adds header fields to an answer, before it is written.
 *
 * @internal
 */
import * as HttpHeaders from "../../HttpHeaders.js"
import type { Exchange } from "../../internal/exchange.js"

export class AddedHeaders implements Exchange {
  private readonly added: HttpHeaders.HttpHeaders

  constructor(
    private readonly inner: Exchange,
    headers: HttpHeaders.Input
  ) {
    this.added = HttpHeaders.make(headers)
  }

  /** What the handler says itself stays as it is. */
  private readonly with = (given: HttpHeaders.Input | undefined): HttpHeaders.HttpHeaders => {
    const own = HttpHeaders.make(given ?? HttpHeaders.empty)
    return HttpHeaders.make([...own, ...Array.from(this.added).filter(([name]) => !HttpHeaders.has(own, name))])
  }

  readonly respond: Exchange["respond"] = (code, content, headers) =>
    this.inner.respond(code, content, this.with(headers))

  readonly begin: Exchange["begin"] = (code, headers) => this.inner.begin(code, this.with(headers))

  readonly inform: Exchange["inform"] = (code, headers) => this.inner.inform(code, headers)

  readonly upgrade: Exchange["upgrade"] = (headers) => this.inner.upgrade(headers)

  readonly tunnel: Exchange["tunnel"] = (headers) => this.inner.tunnel(headers)

  readonly mustWait: Exchange["mustWait"] = () => this.inner.mustWait()

  get canWrite() {
    return this.inner.canWrite
  }

  get bytes() {
    return this.inner.bytes
  }

  get stream() {
    return this.inner.stream
  }

  get trailers() {
    return this.inner.trailers
  }
}
