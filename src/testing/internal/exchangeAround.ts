/**
 * An exchange around another: what is not said otherwise is asked of that one.
 *
 * @internal
 */
import type { Exchange } from "../../internal/exchange.js"

export class ExchangeAround implements Exchange {
  constructor(protected readonly inner: Exchange) {}

  get state(): Exchange["state"] {
    return this.inner.state
  }

  get isDeserted(): boolean {
    return this.inner.isDeserted
  }

  readonly respond: Exchange["respond"] = (code, content, headers) => this.inner.respond(code, content, headers)

  readonly begin: Exchange["begin"] = (code, headers) => this.inner.begin(code, headers)

  readonly inform: Exchange["inform"] = (code, headers) => this.inner.inform(code, headers)

  readonly upgrade: Exchange["upgrade"] = (headers) => this.inner.upgrade(headers)

  readonly tunnel: Exchange["tunnel"] = (headers) => this.inner.tunnel(headers)

  readonly mustWait: Exchange["mustWait"] = () => this.inner.mustWait()

  readonly read: Exchange["read"] = (most) => this.inner.read(most)

  readonly keep: Exchange["keep"] = (bytes) => this.inner.keep(bytes)

  get canWrite(): Exchange["canWrite"] {
    return this.inner.canWrite
  }

  get stream(): Exchange["stream"] {
    return this.inner.stream
  }

  get trailers(): Exchange["trailers"] {
    return this.inner.trailers
  }
}
