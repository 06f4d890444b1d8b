/**
 * Every number that bounds a connection, each with its reason.
 *
 * Sizes are bytes, durations are Effect `Duration`s. A limit that is reached is answered (the status is named beside
 * it), closes the connection, or pauses the socket (`maxReadAhead`); none is ever ignored. This module enforces nothing itself.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { ValueError } from "./Errors.js"
import { firstInvalidLimit } from "./internal/limits.js"

/**
 * The bounds of one server. Every field can be given in `Server.make`'s options; what is left out has its default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Bytes of a request line without its line end; beyond it 414. 8 KiB, as the original, nginx and Kestrel have. */
  readonly maxRequestLine: number
  /** Bytes of one header field line; beyond it 431. 16 KiB: what node:http and Tomcat leave a whole section. */
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
   * Bytes of a body which the handler left unread that are read and thrown away to keep the connection; a longer rest
   * closes it instead. 256 KiB: cheaper than a new connection, and Go's number.
   */
  readonly maxDiscardedBody: number
  /** Bytes read from the socket ahead of what the handler has asked for; beyond it the socket is paused. 64 KiB: one read. */
  readonly maxReadAhead: number
  /**
   * Bytes of all request bodies that are read whole, in sum; beyond it reading waits: see `BodyBudget`. 128 MiB: sixteen
   * bodies of `maxBody`, and with the text or JSON that is made of them still a part of a process of 512 MiB.
   */
  readonly maxBufferedBodies: number
  /**
   * Requests answered on one connection; the last one says `Connection: close`, and the others announce the number as
   * `Keep-Alive: max=`. Unbounded unless it is given.
   */
  readonly maxRequestsPerConnection: number
  /** From the first byte of a request to the end of its header section, in total; then 408. 10 s: no trickling. */
  readonly headerTimeout: Duration.Duration
  /** Without a byte of a body that is being read; then 408. 30 s: a phone in a tunnel. */
  readonly bodyTimeout: Duration.Duration
  /**
   * From when a body is first waited for to its end, however it trickles; then 408. 5 min: node:http's for a whole
   * request, and 8 MiB at 28 KiB a second.
   */
  readonly bodyTotalTimeout: Duration.Duration
  /**
   * How long the reading of a body waits for others to be given back (`maxBufferedBodies`); then 503. No time of the
   * client's runs meanwhile. 10 s: longer than most requests take, shorter than most clients wait.
   */
  readonly bufferedBodyTimeout: Duration.Duration
  /**
   * From a client's FIN on, how long its handler may go on without writing anything; then the handler is interrupted. A
   * client that has gone for good sends the same FIN as one that waits. 30 s: longer than who waits has patience.
   */
  readonly halfCloseTimeout: Duration.Duration
  /**
   * A connection without any request under way. Responses announce it, in whole seconds, as `Keep-Alive: timeout=`, and
   * the connection is closed silently 1 s after it: a request that is sent at the last moment is still answered. 75 s, as
   * in nginx: longer than the 60 s after which common load balancers close. With 0 every response is its connection's
   * last one; with `Infinity` nothing is announced.
   */
  readonly keepAliveTimeout: Duration.Duration
  /**
   * While a request is handled, without a byte in either direction; then the handler is interrupted and the connection
   * destroyed. Unbounded unless it is given: a handler may take its time. It does not bound what was handed over to another
   * protocol.
   */
  readonly inactivityTimeout: Duration.Duration
  /** Without progress while an answer waits for a client that does not read; then the connection is destroyed. 30 s. */
  readonly writeTimeout: Duration.Duration
  /**
   * After the server has said its last word, how long a client may be silent while the server reads and discards what
   * still comes, so that the answer is not lost to a reset (RFC 9112 §9.6). Real time: a stopped test clock does not hold
   * it. 5 s: nginx's. When the descriptor budget has no room, those that linger longest are closed sooner.
   */
  readonly lingerTimeout: Duration.Duration
  /**
   * The same in all, whatever still comes. Real time. 30 s: nginx's; a client that sends for longer before it looks for
   * an early answer finds a reset.
   */
  readonly lingerTotalTimeout: Duration.Duration
}

/**
 * What a server has unless it is told otherwise.
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
 * Limits that accept what `node:http` accepts by default: those of the entry `HttpServer` and of the test kit, so that an
 * application that moves here, and a mock of it, refuse nothing that was served before.
 *
 * `node:http` has one bound of 16 KiB for the target and all fields, which counts neither separators nor white space; it
 * leaves out, silently, fields beyond some 1,000. Here a request line has 32 KiB, and a header section 64 KiB of bytes as
 * they are sent and 2,000 fields, beyond which the request is refused: a field that is left out may be the one that
 * matters (RFC 9110 §5.4). Chunk extensions are bounded there chunk by chunk, at 16 KiB, and here in their sum. A client
 * that reads slowly has 5 minutes without progress; there it has any time.
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
 * The bounds as a user gives them: any of them, durations in any form Effect reads (`"5 seconds"`, milliseconds …).
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
 * Completes what a user gave with the defaults.
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
    const given = options[name]
    if (given !== undefined) limits[name] = Duration.isDuration(defaults[name]) ? Duration.decode(given) : given
  }
  // Every key of `defaults` has been filled with a value of its own kind, which a mapped assignment cannot express.
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
