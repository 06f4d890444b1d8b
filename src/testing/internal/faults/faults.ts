/**
 * What each fault does with the bytes of an answer.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FaultedExchange, FaultProgram } from "./faultHandler.js"
import type { FaultSink } from "./responseSink.js"

const continues = Effect.succeed("GoesOn" as const)

/** Milliseconds that the wall clock does not set back or forward. */
const currentTime: Effect.Effect<number> = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

/**
 * Sleeps until a time, and no longer than the whole step that ends then: under the fake timers of a test runner the sleep
 * is theirs, and this time is not.
 */
const sleepUntil = (at: number, step: number): Effect.Effect<void> =>
  Effect.flatMap(currentTime, (now) => (at > now ? Effect.sleep(Math.min(step, at - now)) : Effect.void))

/** Sends so much, or the whole answer where it is shorter, and ends the connection. */
export const endAfter =
  (how: "close" | "reset", count: number): FaultProgram =>
  (flow) =>
    Effect.zipRight(flow.tap.sendFirst(count), flow.end(how))

export const stallAfter =
  (count: number): FaultProgram =>
  (flow) =>
    Effect.zipRight(flow.tap.sendFirst(count), flow.stall)

/** Passes all on but the last bytes of the content. */
const sendAllBut = ({ tap }: FaultedExchange, missing: number): Effect.Effect<void> => {
  const go = (held: Buffer): Effect.Effect<void> =>
    Effect.flatMap(tap.take(), (bytes) => {
      if (bytes === undefined) return Effect.void
      const all = Buffer.concat([held, bytes])
      const left = Math.max(0, all.length - missing)
      return Effect.zipRight(tap.send(all.subarray(0, left)), go(all.subarray(left)))
    })
  return go(Buffer.alloc(0))
}

const headEnd = "\r\n\r\n"

const sendHead = (
  { tap }: FaultedExchange,
  send: (head: Buffer) => Effect.Effect<void> = (head) => tap.send(head)
): Effect.Effect<void> =>
  Effect.flatMap(tap.takeThrough(headEnd), (head) => (head === undefined ? Effect.void : send(head)))

export const truncated =
  (missing: number): FaultProgram =>
  (flow) =>
    Effect.zipRight(sendHead(flow), Effect.zipRight(sendAllBut(flow, missing), flow.end("close")))

/** The chunks of a content that has some, without the last one (RFC 9112 §7.1). */
const sendChunks = (tap: FaultSink): Effect.Effect<void> =>
  Effect.flatMap(tap.takeThrough("\r\n"), (line) => {
    const size = Number.parseInt(line?.toString("latin1") ?? "0", 16)
    // What another fault has sent may be no chunk.
    if (line === undefined || !(size > 0)) return Effect.void
    const chunk = Effect.zipRight(tap.send(line), tap.sendFirst(size + 2))
    return Effect.zipRight(chunk, sendChunks(tap))
  })

/** The chunks of a content that has none. */
const sendInChunks = (tap: FaultSink): Effect.Effect<void> =>
  Effect.flatMap(tap.take(), (bytes) => {
    if (bytes === undefined) return Effect.void
    const chunk = Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
    return Effect.zipRight(tap.send(chunk), sendInChunks(tap))
  })

const isChunked = (head: string): boolean => /^transfer-encoding:\s*chunked/im.test(head)

const inChunks = (head: string): string =>
  `${head.slice(0, -headEnd.length).replace(/^content-length:.*\r\n|\r\ncontent-length:.*$/im, "")}\r\nTransfer-Encoding: chunked${headEnd}`

/** Sends the answer in chunks, whatever its framing was, with something else in the place of the last one. */
export const chunkedUpTo =
  (last: string): FaultProgram =>
  (flow) =>
    sendHead(flow, (bytes) => {
      const head = bytes.toString("latin1")
      return isChunked(head)
        ? Effect.zipRight(flow.tap.send(bytes), sendChunks(flow.tap))
        : Effect.zipRight(flow.tap.send(inChunks(head)), sendInChunks(flow.tap))
    }).pipe(Effect.zipRight(flow.tap.send(last)), Effect.zipRight(flow.end("close")))

/** The last byte of the head leaves when it is over, and the others evenly before. */
export const slowHeaders =
  (millis: number): FaultProgram =>
  (flow) =>
    sendHead(flow, (head) =>
      Effect.flatMap(currentTime, (began) =>
        Effect.forEach(
          head,
          (_, index) =>
            Effect.zipRight(
              sleepUntil(began + Math.round((millis * (index + 1)) / head.length), Math.ceil(millis / head.length)),
              flow.tap.send(head.subarray(index, index + 1))
            ),
          { discard: true }
        )
      )
    ).pipe(Effect.zipRight(flow.tap.sendRest), Effect.zipRight(continues))

/** So many bytes at most in each interval, of which the first begins with the first byte. */
export const throttled =
  (bytes: number, every: number): FaultProgram =>
  ({ tap }) => {
    const go = (since: number, left: number): Effect.Effect<"GoesOn"> =>
      Effect.flatMap(Effect.zip(tap.take(left), currentTime), ([taken, now]) => {
        if (taken === undefined) return continues
        const isNew = now >= since + every
        const began = isNew ? now : since
        const rest = (isNew ? bytes : left) - taken.length
        const next = began + every
        return Effect.zipRight(
          tap.send(taken),
          rest > 0 ? go(began, rest) : Effect.zipRight(sleepUntil(next, every), go(next, bytes))
        )
      })
    return go(Number.NEGATIVE_INFINITY, bytes)
  }

export const slowClose =
  (duration: Duration.DurationInput): FaultProgram =>
  (flow) =>
    flow.tap.sendRest.pipe(Effect.zipRight(Effect.sleep(duration)), Effect.zipRight(flow.endAfter("close")))

export const halfClosed: FaultProgram = (flow) => Effect.zipRight(flow.tap.sendRest, flow.endAfter("halfClose"))

/** Sends interim responses in front of the answer. */
export const withInterim =
  (interim: string, count: number): FaultProgram =>
  ({ tap }) =>
    Effect.zipRight(
      Effect.sync(() => tap.inform(Buffer.from(interim.repeat(count)))),
      Effect.zipRight(tap.sendRest, continues)
    )

/** Sends the answer twice. */
export const duplicated: FaultProgram = ({ tap }) => {
  const go = (seen: ReadonlyArray<Buffer>): Effect.Effect<"GoesOn"> =>
    Effect.flatMap(tap.take(), (bytes) =>
      bytes === undefined
        ? Effect.zipRight(tap.send(Buffer.concat(seen)), continues)
        : Effect.zipRight(tap.send(bytes), go([...seen, bytes]))
    )
  return go([])
}

/** Throws an answer away. */
export const discarded = (tap: FaultSink): Effect.Effect<void> =>
  Effect.flatMap(tap.take(), (bytes) => (bytes === undefined ? Effect.void : discarded(tap)))
