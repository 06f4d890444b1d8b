/** How much it takes until an attack is over: bytes that the server has read, and seconds of the test clock. */
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type { Ending, MemoryConnection } from "../../server/memory.js"
import { settled } from "../../server/memory.js"

export interface Cost {
  readonly bytes: number
  readonly seconds: number
  /** The status of the last response, or "silence". */
  readonly response: number | "silence"
  readonly ending: Ending | undefined
}

const lastStatus = (written: string): number | "silence" => {
  const statuses = Array.from(written.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, status]) => Number(status))
  return statuses.at(-1) ?? "silence"
}

/** Where an attack that continues for ever would stand by now. */
const endless = 100_000

/**
 * Sends the opening, then the same piece again and again, with a pause of test time before each, until the server ends
 * the connection.
 */
export const until = (
  connection: MemoryConnection,
  opening: string,
  chunk: (i: number) => string,
  pause = 0
): Effect.Effect<Cost> =>
  Effect.gen(function* () {
    connection.endsToo = false
    let bytes = opening.length
    let seconds = 0
    connection.send(opening)
    yield* settled
    for (let i = 0; connection.ending === undefined; i++) {
      if (i === endless) throw new Error("the attack goes on for ever")
      // Every timeout is a multiple of five seconds, or a second more: those around it are waited for alone.
      for (let left = pause; left > 0 && connection.ending === undefined; ) {
        const step = Math.min(left, seconds % 5 === 0 ? 1 : Math.max(1, 4 - (seconds % 5)))
        yield* TestClock.adjust(`${step} seconds`)
        seconds += step
        left -= step
        yield* settled
      }
      if (connection.ending !== undefined) break
      const next = chunk(i)
      bytes += next.length
      connection.send(next)
      yield* settled
    }
    return { bytes, seconds, response: lastStatus(connection.written), ending: connection.ending }
  })
