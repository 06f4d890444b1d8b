/** The program of each fault: what it does with the bytes of a response. */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FaultedExchange, FaultProgram } from "./faultHandler.js"
import type { FaultSink } from "./responseSink.js"

const continues = Effect.succeed("Continue" as const)

/** Monotonic milliseconds, independent of changes to the wall clock. */
const currentTime: Effect.Effect<number> = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

/**
 * Sleeps until a time, for one step at most: fake timers of a test runner replace the sleep, but not this clock, so the
 * difference may be arbitrary.
 */
const sleepUntil = (at: number, step: number): Effect.Effect<void> =>
  Effect.flatMap(currentTime, (now) => (at > now ? Effect.sleep(Math.min(step, at - now)) : Effect.void))

/** Sends at most `count` bytes of the response, and ends the connection. */
export const endAfter =
  (how: "close" | "reset", count: number): FaultProgram =>
  (exchange) =>
    Effect.zipRight(exchange.sink.sendFirst(count), exchange.end(how))

export const stallAfter =
  (count: number): FaultProgram =>
  (exchange) =>
    Effect.zipRight(exchange.sink.sendFirst(count), exchange.stall)

/** Sends all but the last `missing` bytes of the content. */
const sendAllBut = ({ sink }: FaultedExchange, missing: number): Effect.Effect<void> => {
  const go = (held: Buffer): Effect.Effect<void> =>
    Effect.flatMap(sink.take(), (bytes) => {
      if (bytes === undefined) return Effect.void
      const all = Buffer.concat([held, bytes])
      const left = Math.max(0, all.length - missing)
      return Effect.zipRight(sink.send(all.subarray(0, left)), go(all.subarray(left)))
    })
  return go(Buffer.alloc(0))
}

const headEnd = "\r\n\r\n"

const sendHead = (
  { sink }: FaultedExchange,
  send: (head: Buffer) => Effect.Effect<void> = (head) => sink.send(head)
): Effect.Effect<void> =>
  Effect.flatMap(sink.takeThrough(headEnd), (head) => (head === undefined ? Effect.void : send(head)))

export const truncated =
  (missing: number): FaultProgram =>
  (exchange) =>
    Effect.zipRight(sendHead(exchange), Effect.zipRight(sendAllBut(exchange, missing), exchange.end("close")))

/** Sends the chunks of chunked content, without the last one (RFC 9112 §7.1). */
const sendChunks = (sink: FaultSink): Effect.Effect<void> =>
  Effect.flatMap(sink.takeThrough("\r\n"), (line) => {
    const size = Number.parseInt(line?.toString("latin1") ?? "0", 16)
    // The bytes of another fault may not be a chunk.
    if (line === undefined || !(size > 0)) return Effect.void
    const chunk = Effect.zipRight(sink.send(line), sink.sendFirst(size + 2))
    return Effect.zipRight(chunk, sendChunks(sink))
  })

/** Sends content that is not chunked in chunks. */
const sendInChunks = (sink: FaultSink): Effect.Effect<void> =>
  Effect.flatMap(sink.take(), (bytes) => {
    if (bytes === undefined) return Effect.void
    const chunk = Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
    return Effect.zipRight(sink.send(chunk), sendInChunks(sink))
  })

const isChunked = (head: string): boolean => /^transfer-encoding:\s*chunked/im.test(head)

const withChunkedCoding = (head: string): string =>
  `${head.slice(0, -headEnd.length).replace(/^content-length:.*\r\n|\r\ncontent-length:.*$/im, "")}\r\nTransfer-Encoding: chunked${headEnd}`

/** Sends the response in chunks, whatever its framing, with `last` instead of the last chunk. */
export const chunkedUpTo =
  (last: string): FaultProgram =>
  (exchange) =>
    sendHead(exchange, (bytes) => {
      const head = bytes.toString("latin1")
      return isChunked(head)
        ? Effect.zipRight(exchange.sink.send(bytes), sendChunks(exchange.sink))
        : Effect.zipRight(exchange.sink.send(withChunkedCoding(head)), sendInChunks(exchange.sink))
    }).pipe(Effect.zipRight(exchange.sink.send(last)), Effect.zipRight(exchange.end("close")))

/** Sends the bytes of the head evenly, the last one after `millis`. */
export const slowHeaders =
  (millis: number): FaultProgram =>
  (exchange) =>
    sendHead(exchange, (head) =>
      Effect.flatMap(currentTime, (began) =>
        Effect.forEach(
          head,
          (_, index) =>
            Effect.zipRight(
              sleepUntil(began + Math.round((millis * (index + 1)) / head.length), Math.ceil(millis / head.length)),
              exchange.sink.send(head.subarray(index, index + 1))
            ),
          { discard: true }
        )
      )
    ).pipe(Effect.zipRight(exchange.sink.sendRest), Effect.zipRight(continues))

/** Sends at most `bytes` bytes in each interval; the first interval begins with the first byte. */
export const throttled =
  (bytes: number, every: number): FaultProgram =>
  ({ sink }) => {
    const go = (since: number, remaining: number): Effect.Effect<"Continue"> =>
      Effect.flatMap(Effect.zip(sink.take(remaining), currentTime), ([taken, now]) => {
        if (taken === undefined) return continues
        const isNew = now >= since + every
        const began = isNew ? now : since
        const rest = (isNew ? bytes : remaining) - taken.length
        const next = began + every
        return Effect.zipRight(
          sink.send(taken),
          rest > 0 ? go(began, rest) : Effect.zipRight(sleepUntil(next, every), go(next, bytes))
        )
      })
    return go(Number.NEGATIVE_INFINITY, bytes)
  }

export const slowClose =
  (duration: Duration.DurationInput): FaultProgram =>
  (exchange) =>
    exchange.sink.sendRest.pipe(Effect.zipRight(Effect.sleep(duration)), Effect.zipRight(exchange.endAfter("close")))

export const halfClosed: FaultProgram = (exchange) =>
  Effect.zipRight(exchange.sink.sendRest, exchange.endAfter("halfClose"))

/** Sends interim responses before the response. */
export const withInterim =
  (interim: string, count: number): FaultProgram =>
  ({ sink }) =>
    Effect.zipRight(
      Effect.sync(() => sink.writeInterim(Buffer.from(interim.repeat(count)))),
      Effect.zipRight(sink.sendRest, continues)
    )

/** Sends the response twice. */
export const duplicated: FaultProgram = ({ sink }) => {
  const go = (sent: ReadonlyArray<Buffer>): Effect.Effect<"Continue"> =>
    Effect.flatMap(sink.take(), (bytes) =>
      bytes === undefined
        ? Effect.zipRight(sink.send(Buffer.concat(sent)), continues)
        : Effect.zipRight(sink.send(bytes), go([...sent, bytes]))
    )
  return go([])
}

/** Discards the response. */
export const discard = (sink: FaultSink): Effect.Effect<void> =>
  Effect.flatMap(sink.take(), (bytes) => (bytes === undefined ? Effect.void : discard(sink)))
