/**
 * The service that creates a request parser for each connection: a synchronous state machine without I/O.
 *
 * Call `feed` with bytes as they arrive, then `next` until it returns `NeedMore`. The parser uses no Effect, clock, socket or
 * log. Replace the service for another parser; one that is more lenient than the default invites request smuggling.
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
  /** A piece of a body, as it arrived. @since 0.1.0 @category models */
  BodyBytes,
  /** The end of a body, with its trailer fields: names and values in turn. @since 0.1.0 @category models */
  BodyEnd,
  /** Framing of a body: none, of known length, or chunked. @since 0.1.0 @category models */
  Framing,
  /** An invalid request: the reason, and the status of the error response. @since 0.1.0 @category models */
  Malformed,
  /** The head of a request. @since 0.1.0 @category models */
  RequestHead
}

/**
 * Result of `Parser.next`.
 *
 * - `"NeedMore"`: all input is consumed; feed again.
 * - `Head`: a request begins; a body follows unless its framing is `None`.
 * - `Body`: bytes of the body, in the buffer they arrived in.
 * - `End`: the body has ended; the next request may follow. A request without a body has no `End`.
 * - `Malformed`: nothing further on this connection can be trusted; every later call returns the same.
 *
 * @since 0.1.0
 * @category models
 */
export type Step = "NeedMore" | RequestHead | BodyBytes | BodyEnd | Malformed

/**
 * The parser of one connection. A pristine parser may be reused for another connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parser {
  /** Appends input; allowed before the first `next`, and after `next` has returned `NeedMore`. */
  readonly feed: (bytes: Buffer) => void
  /** Parses the next step. */
  readonly next: () => Step
  /** True between requests: no byte of the next one has arrived. */
  readonly isIdle: () => boolean
  /** True when nothing has been fed since creation or the end of a request, not even the empty line allowed there. */
  readonly isPristine: () => boolean
  /** The method of the current request, once parsed: error responses need it, since those to HEAD have no content. */
  readonly method: () => HttpMethod | undefined
  /** Removes and returns the bytes that are not parsed yet: those that follow an upgrade. */
  readonly takeTrailingData: () => Buffer
}

/**
 * Options of a parser besides its limits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Treatment of a method that is a token, but none of `HttpMethod.all`: `"reject"`, the default, gives `Malformed` with the
   * reason `MethodUnknown` (501); `"handle"` gives a `Head`, and the length of the method is limited by `maxRequestLine`
   * alone.
   */
  readonly unknownMethods?: "reject" | "handle" | undefined
}

/**
 * The service: creates a parser for each connection.
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
  private malformed: Malformed | undefined

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
    if (this.malformed !== undefined) return this.malformed
    const step = this.body === undefined ? this.head.next(this.input) : this.body.next(this.input)
    if (step === "NeedMore") {
      this.input.release()
      return step
    }
    if (step._tag === "Head") this.body = this.decoderOf(step.framing)
    else if (step._tag === "End") this.body = undefined
    else if (step._tag === "Malformed") this.malformed = step
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
 * Creates a parser without the service: for tests, benchmarks, and uses without a server.
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
 * The strict parser of RFC 9112; the README lists what it rejects.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<RequestParser> = Layer.succeed(RequestParser, { make })
