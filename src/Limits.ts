/**
 * Limits of a server: sizes and timeouts, each with the reason for its default.
 *
 * Sizes are bytes, durations are Effect `Duration`s. A limit that is exceeded leads to an error response (of the status named
 * at the limit), closes the connection, or pauses the socket (`maxReadAhead`). This module enforces nothing itself.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { ValueError } from "./Errors.js"
import { firstInvalidLimit } from "./internal/limits.js"

/**
 * The limits of one server. Each can be set by the options of `Server.make`; the others have their defaults.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Bytes of a request line without its line end; beyond it 414. 8 KiB, as in the original, nginx and Kestrel. */
  readonly maxRequestLine: number
  /** Bytes of one header field line; beyond it 431. 16 KiB: what node:http and Tomcat allow a whole section. */
  readonly maxHeaderLine: number
  /** Bytes of a whole header section; beyond it 431. 32 KiB: nginx's and Kestrel's. */
  readonly maxHeaderSection: number
  /** Header fields of a request; beyond it 431. 100: hyper's and Kestrel's; browsers send about 20. */
  readonly maxHeaders: number
  /** Bytes of a request body, however it is framed; beyond it 413. 8 MiB: the original's `maxBody`. */
  readonly maxBody: number
  /** Bytes of all chunk extensions of one body; beyond it 400. 16 KiB: hyper's. Nothing real uses them. */
  readonly maxChunkExtensions: number
  /** Bytes of a trailer section; beyond it 431. 8 KiB: checksums and signatures fit many times. */
  readonly maxTrailerSection: number
  /** Fields of a trailer section; beyond it 431. */
  readonly maxTrailers: number
  /**
   * Bytes of an unread body that are read and discarded to keep the connection alive; a longer rest closes it instead.
   * 256 KiB: cheaper than a new connection, and Go's number.
   */
  readonly maxDiscardedBody: number
  /** Bytes read from the socket before the handler requests them; beyond it the socket is paused. 64 KiB: one read. */
  readonly maxReadAhead: number
  /**
   * Bytes of all buffered request bodies together; beyond it reading is suspended: see `BodyBudget`. 128 MiB: sixteen bodies
   * of `maxBody`, and with the text or JSON parsed from them still a part of a process of 512 MiB.
   */
  readonly maxBufferedBodies: number
  /**
   * Requests per connection; the last response has `Connection: close`, and the others announce the number as
   * `Keep-Alive: max=`. Unbounded by default.
   */
  readonly maxRequestsPerConnection: number
  /** From the first byte of a request to the end of its header section, in total; then 408. 10 s: bounds slow senders. */
  readonly headerTimeout: Duration.Duration
  /** Time between two reads of a body; then 408. 30 s: a phone in a tunnel. */
  readonly bodyTimeout: Duration.Duration
  /**
   * From the first wait for a body to its end, in total; then 408. 5 min: node:http's for a whole request, and 8 MiB at
   * 28 KiB a second.
   */
  readonly bodyTotalTimeout: Duration.Duration
  /**
   * Time for which the reading of a body is suspended until others are released (`maxBufferedBodies`); then 503. The
   * timeouts of the client are stopped meanwhile. 10 s: longer than most requests take, shorter than most clients wait.
   */
  readonly bufferedBodyTimeout: Duration.Duration
  /**
   * Time from the client's FIN for which its handler may run without writing; then the handler is interrupted. A client that
   * has gone sends the same FIN as one that still reads. 30 s: longer than a client that still reads usually waits.
   */
  readonly halfCloseTimeout: Duration.Duration
  /**
   * Idle time between two requests. Responses announce it, in whole seconds, as `Keep-Alive: timeout=`, and the connection is
   * closed silently 1 s later, so that a request sent at the last moment is still served. 75 s, as in nginx: longer than the
   * 60 s after which common load balancers close. With 0 every connection serves one request; with `Infinity` nothing is
   * announced.
   */
  readonly keepAliveTimeout: Duration.Duration
  /**
   * Time without a byte in either direction while a request is handled; then the handler is interrupted and the connection
   * destroyed. Unbounded by default: a handler may run for any time. It does not apply to upgraded connections.
   */
  readonly inactivityTimeout: Duration.Duration
  /** Time without progress of a response whose client does not read; then the connection is destroyed. 30 s. */
  readonly writeTimeout: Duration.Duration
  /**
   * Time without input during a lingering close: after the final response the server reads and discards input, so that the
   * response is not lost to a reset (RFC 9112 §9.6). Real time: a stopped test clock does not hold it. 5 s: nginx's. When the
   * descriptor budget is exhausted, the connections that linger longest are closed sooner.
   */
  readonly lingerTimeout: Duration.Duration
  /**
   * Total time of a lingering close. Real time. 30 s: nginx's; a client that sends for longer before it reads an early
   * response gets a reset.
   */
  readonly lingerTotalTimeout: Duration.Duration
}

/**
 * The default limits of a server.
 *
 * @example
 * ```ts
 * import { Limits } from "effect-asynchttpserver"
 *
 * console.log(Limits.defaults.maxBody)
 * // 8388608
 * ```
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: Limits = {
  maxRequestLine: 8 * 1024,
  maxHeaderLine: 16 * 1024,
  maxHeaderSection: 32 * 1024,
  maxHeaders: 100,
  maxBody: 8 * 1024 * 1024,
  maxChunkExtensions: 16 * 1024,
  maxTrailerSection: 8 * 1024,
  maxTrailers: 32,
  maxDiscardedBody: 256 * 1024,
  maxReadAhead: 64 * 1024,
  maxBufferedBodies: 128 * 1024 * 1024,
  maxRequestsPerConnection: Number.POSITIVE_INFINITY,
  headerTimeout: Duration.seconds(10),
  bodyTimeout: Duration.seconds(30),
  bodyTotalTimeout: Duration.minutes(5),
  bufferedBodyTimeout: Duration.seconds(10),
  halfCloseTimeout: Duration.seconds(30),
  keepAliveTimeout: Duration.seconds(75),
  inactivityTimeout: Duration.infinity,
  writeTimeout: Duration.seconds(30),
  lingerTimeout: Duration.seconds(5),
  lingerTotalTimeout: Duration.seconds(30)
}

/**
 * Limits that accept what `node:http` accepts by default. They are the defaults of `HttpServer` and of the test kit, so that
 * an application that is migrated, and a mock of it, reject nothing that was served before.
 *
 * `node:http` has one limit of 16 KiB for the target and all fields, which counts neither separators nor white space, and it
 * silently drops fields beyond about 1,000. Here the limits are 32 KiB for a request line, and 64 KiB and 2,000 fields for a
 * header section as it is sent. A larger request is rejected: a dropped field may be the one that matters (RFC 9110 §5.4).
 * `node:http` limits the extensions of each chunk to 16 KiB, this server their sum. A client that reads slowly has 5 minutes
 * without progress; `node:http` has no limit.
 *
 * @example
 * ```ts
 * import { Limits, Server } from "effect-asynchttpserver"
 *
 * // A native server for clients with long cookies.
 * const live = Server.layer({ port: 8080, limits: { ...Limits.nodeHttp, maxBody: 1024 * 1024 } })
 * console.log(Limits.nodeHttp.maxHeaders, typeof live)
 * // 2000 object
 * ```
 *
 * @since 0.1.0
 * @category constants
 */
export const nodeHttp: Limits = {
  ...defaults,
  maxRequestLine: 32 * 1024,
  maxHeaderLine: Number.POSITIVE_INFINITY,
  maxHeaderSection: 64 * 1024,
  maxHeaders: 2000,
  maxBody: Number.POSITIVE_INFINITY,
  maxChunkExtensions: 16 * 1024 * 1024,
  maxTrailerSection: 64 * 1024,
  maxTrailers: 2000,
  headerTimeout: Duration.seconds(60),
  bodyTimeout: Duration.minutes(5),
  bodyTotalTimeout: Duration.minutes(5),
  writeTimeout: Duration.minutes(5)
}

/**
 * Limits as options: any of them, durations in any form Effect decodes (`"5 seconds"`, milliseconds …).
 *
 * @since 0.1.0
 * @category models
 */
export type Options = {
  readonly [K in keyof Limits]?: Limits[K] extends Duration.Duration
    ? Duration.DurationInput | undefined
    : Limits[K] | undefined
}

const names = Object.keys(defaults) as ReadonlyArray<keyof Limits>

/**
 * Completes limits with the defaults. Invalid ones are not detected: see `validate`.
 *
 * @example
 * ```ts
 * import { Limits } from "effect-asynchttpserver"
 *
 * console.log(Limits.make({ keepAliveTimeout: "5 seconds" }).maxHeaders)
 * // 100
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Limits => {
  if (Object.keys(options).length === 0) return defaults
  const limits: Record<string, unknown> = { ...defaults }
  for (const name of names) {
    const value = options[name]
    if (value !== undefined) limits[name] = Duration.isDuration(defaults[name]) ? Duration.decode(value) : value
  }
  // Every key of `defaults` has a value of its own type, which a mapped assignment cannot express.
  return limits as unknown as Limits
}

/**
 * Checks limits, and completes them with the defaults. `Left` is a `ValueError` `Option` that names the first invalid one: an
 * unknown name, a size that is no whole number from 0, a duration that is negative or that Effect cannot decode.
 * `Server.listen` fails with the same error.
 *
 * @example
 * ```ts
 * import { Either } from "effect"
 * import { Limits } from "effect-asynchttpserver"
 *
 * const limits = Limits.validate({ maxHeaders: 10 })
 * console.log(Either.isRight(limits) && limits.right.maxHeaders)
 * // 10
 * const invalid = Limits.validate({ maxHeaders: 1.5 })
 * console.log(Either.isLeft(invalid) && invalid.left.actual)
 * // maxHeaders: 1.5
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const validate = (options: Options = {}): Either.Either<Limits, ValueError> => {
  const invalid = firstInvalidLimit(options, defaults)
  return invalid === undefined
    ? Either.right(make(options))
    : Either.left(new ValueError({ reason: "Option", actual: invalid }))
}
