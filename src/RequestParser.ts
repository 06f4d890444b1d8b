/**
 * The service that hands each connection a request parser: a plain, synchronous machine.
 *
 * `feed` it the bytes as they come, then ask `next` until it says `NeedMore`. It knows no Effect, clock, socket or
 * log; it takes limits and gives steps. Replace the service to parse otherwise; a parser that is more lenient than the
 * default one is what request smuggling is made of.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { HttpMethod } from "./HttpMethod.js"
import {
  type BodyBytes,
  type BodyDecoder,
  type BodyEnd,
  ChunkedDecoder,
  LengthDecoder
} from "./internal/http1/bodyDecoder.js"
import type { Framing } from "./internal/http1/framing.js"
import { ParseBuffer } from "./internal/http1/parseBuffer.js"
import type { Malformed } from "./internal/http1/parseResult.js"
import { type RequestHead, RequestHeadParser } from "./internal/http1/requestHead.js"
import type { Limits } from "./Limits.js"

export type {
  /**
   * A piece of a body, as it arrived.
   *
   * @since 0.1.0
   * @category models
   */
  BodyBytes,
  /**
   * The end of a body, with its trailer fields: names and values in turn.
   *
   * @since 0.1.0
   * @category models
   */
  BodyEnd,
  /**
   * How long a body is: none, of a length that is known, or chunked.
   *
   * @since 0.1.0
   * @category models
   */
  Framing,
  /**
   * A request that can never become right: the reason, and the status that answers it.
   *
   * @since 0.1.0
   * @category models
   */
  Malformed,
  /**
   * What a request's head says.
   *
   * @since 0.1.0
   * @category models
   */
  RequestHead
}

/**
 * What a parser found next.
 *
 * - `"NeedMore"`: everything fed has been looked at; feed again.
 * - `Head`: a request begins; a body follows unless its framing is `None`.
 * - `Body`: bytes of the body, in the buffer they arrived in.
 * - `End`: the body is over; the next request may follow. A request without a body has no `End`.
 * - `Malformed`: nothing on this connection can be trusted any more; the parser says the same from then on.
 *
 * @since 0.1.0
 * @category models
 */
export type Step = "NeedMore" | RequestHead | BodyBytes | BodyEnd | Malformed

/**
 * One connection's parser; one that is as new may go on to another connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parser {
  /** Takes the next bytes; only right when nothing has been fed yet, or `next` has said `NeedMore`. */
  readonly feed: (bytes: Buffer) => void
  /** Says what comes next. */
  readonly next: () => Step
  /** True between requests: no byte of a further one has been seen. */
  readonly isIdle: () => boolean
  /** True when nothing has been fed, or nothing behind the end of a request: not even the empty line that may come there. */
  readonly isPristine: () => boolean
  /** The method of the request whose head is being read, once it has been: an answer to HEAD has no content. */
  readonly method: () => HttpMethod | undefined
  /** Takes the bytes nobody has looked at yet: what follows when the connection is handed over by an upgrade. */
  readonly takeTrailingData: () => Buffer
}

/**
 * What a parser can be told besides its limits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * What becomes of a request whose method is a token, but none of the nine of `HttpMethod.all`: `"reject"`, the default,
   * is `Malformed` with the reason `MethodUnknown` (501); `"handle"` is a `Head` like any other, and the length of its
   * method is bounded by `maxRequestLine` alone.
   */
  readonly unknownMethods?: "reject" | "handle" | undefined
}

/**
 * The service: makes a parser for a connection.
 *
 * @since 0.1.0
 * @category tags
 */
export class RequestParser extends Context.Tag("effect-asynchttpserver/RequestParser")<
  RequestParser,
  { readonly make: (limits: Limits, options?: Options) => Parser }
>() {}

class Http1Parser implements Parser {
  private readonly input = new ParseBuffer()
  private readonly head: RequestHeadParser
  private body: BodyDecoder | undefined
  private refused: Malformed | undefined

  constructor(
    private readonly limits: Limits,
    { unknownMethods = "reject" }: Options
  ) {
    this.head = new RequestHeadParser(limits, unknownMethods)
  }

  feed(bytes: Buffer): void {
    this.input.feed(bytes)
  }

  next(): Step {
    if (this.refused !== undefined) return this.refused
    const step = this.body === undefined ? this.head.next(this.input) : this.body.next(this.input)
    if (step === "NeedMore") {
      this.input.release()
      return step
    }
    if (step._tag === "Head") this.body = this.decoderOf(step.framing)
    else if (step._tag === "End") this.body = undefined
    else if (step._tag === "Malformed") this.refused = step
    return step
  }

  isIdle(): boolean {
    return this.body === undefined && this.head.isIdle && this.input.position === this.input.end
  }

  isPristine(): boolean {
    return this.body === undefined && this.head.isPristine && this.input.position === this.input.end
  }

  method(): HttpMethod | undefined {
    return this.head.method
  }

  takeTrailingData(): Buffer {
    return this.input.takeTrailingData()
  }

  private decoderOf(framing: Framing): BodyDecoder | undefined {
    switch (framing._tag) {
      case "None":
        return undefined
      case "Length":
        return new LengthDecoder(framing.length)
      case "Chunked":
        return new ChunkedDecoder(this.limits)
    }
  }
}

/**
 * Makes a parser outside of any service: for tests, benchmarks, and whoever has bytes but no server.
 *
 * @example
 * ```ts
 * import { Limits, RequestParser } from "effect-asynchttpserver"
 *
 * const parser = RequestParser.make(Limits.defaults)
 * parser.feed(Buffer.from("GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n"))
 * const step = parser.next()
 * if (step !== "NeedMore" && step._tag === "Head") console.log(step.method, step.url, step.authority)
 * // GET /a?b example.org
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (limits: Limits, options: Options = {}): Parser => new Http1Parser(limits, options)

/**
 * The parser of RFC 9112, strict: see the table of the README for what it refuses.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<RequestParser> = Layer.succeed(RequestParser, { make })
