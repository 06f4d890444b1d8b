/** Exchange that delegates every member which is not overridden to an inner exchange. */
import type { Exchange } from "../../../internal/message/exchange.js"

export class DelegatingExchange implements Exchange {
  constructor(protected readonly inner: Exchange) {}

  get state(): Exchange["state"] {
    return this.inner.state
  }

  get isClientGone(): boolean {
    return this.inner.isClientGone
  }

  readonly respond: Exchange["respond"] = (code, content, headers) => this.inner.respond(code, content, headers)

  readonly startResponse: Exchange["startResponse"] = (code, headers) => this.inner.startResponse(code, headers)

  readonly sendInformational: Exchange["sendInformational"] = (code, headers) =>
    this.inner.sendInformational(code, headers)

  readonly upgrade: Exchange["upgrade"] = (headers) => this.inner.upgrade(headers)

  readonly tunnel: Exchange["tunnel"] = (headers) => this.inner.tunnel(headers)

  readonly mustSuspendWriter: Exchange["mustSuspendWriter"] = () => this.inner.mustSuspendWriter()

  readonly readBody: Exchange["readBody"] = (most) => this.inner.readBody(most)

  readonly keep: Exchange["keep"] = (bytes) => this.inner.keep(bytes)

  get awaitShutdown(): Exchange["awaitShutdown"] {
    return this.inner.awaitShutdown
  }

  get awaitTurnToWrite(): Exchange["awaitTurnToWrite"] {
    return this.inner.awaitTurnToWrite
  }

  get bodyStream(): Exchange["bodyStream"] {
    return this.inner.bodyStream
  }

  get trailers(): Exchange["trailers"] {
    return this.inner.trailers
  }
}
