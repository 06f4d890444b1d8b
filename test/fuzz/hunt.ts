/** Tries one message after the other, and makes what it finds small. */
import * as Effect from "effect/Effect"
import { classify } from "./differences.js"
import { type Finding, judge } from "./differential.js"
import { run } from "./generate.js"
import { running, type Serve } from "./running.js"

/** A finding, with the number that makes it again and the least bytes that show it. */
export interface Found {
  readonly seed: number
  readonly index: number
  readonly finding: Finding
  /** The message as it was tried, and cut down as far as it still shows the same; latin1. */
  readonly message: string
  readonly smallest: string
}

export interface Hunted {
  readonly tried: number
  readonly found: ReadonlyArray<Found>
  /** How often each rule has accepted a difference to Node. */
  readonly accepted: ReadonlyMap<string, number>
}

export interface Hunting {
  readonly seed: number
  readonly from?: number
  /** Messages that are on their way through the server at the same time; 64 by default. */
  readonly batchSize?: number
  /** Whether to continue, after that many messages. */
  readonly goesOn: (tried: number) => boolean
  /** Told of each finding as soon as it is small. */
  readonly onFound?: (found: Found) => void
}

const maxFindings = 20

const isSame = (a: Finding | undefined, b: Finding): boolean =>
  a !== undefined && a.between === b.between && a.what === b.what

/** Leaves out ever smaller parts, while what is left shows the same. */
const smallestOf = async (bytes: Buffer, finding: Finding, serve: Serve): Promise<Buffer> => {
  let smallest = bytes
  for (let size = Math.ceil(bytes.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.length; ) {
      const less = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)])
      const verdict = await judge({ bytes: less, segments: [less] }, serve, classify)
      if (isSame(verdict.finding, finding)) smallest = less
      else at += size
    }
  }
  return smallest
}

const huntWith = async (
  serve: Serve,
  { batchSize = 64, from = 0, goesOn, onFound, seed }: Hunting
): Promise<Hunted> => {
  const found: Array<Found> = []
  const accepted = new Map<string, number>()
  let tried = 0
  while (goesOn(tried) && found.length < maxFindings) {
    const first = from + tried
    const trials = Array.from({ length: batchSize }, (_, i) => run(seed, first + i))
    const verdicts = await Promise.all(trials.map((each) => judge(each, serve, classify)))
    tried += batchSize
    // Nothing here waits for the system: without a turn of the event loop between, nothing that was closed is let go.
    await new Promise((resolve) => setImmediate(resolve))
    for (const [i, { finding, rule }] of verdicts.entries()) {
      if (rule !== undefined) accepted.set(rule, (accepted.get(rule) ?? 0) + 1)
      if (finding === undefined) continue
      const { bytes } = trials[i]!
      const smallest = await smallestOf(bytes, finding, serve)
      const each: Found = {
        seed,
        index: first + i,
        finding,
        message: bytes.toString("latin1"),
        smallest: smallest.toString("latin1")
      }
      found.push(each)
      onFound?.(each)
    }
  }
  return { tried, found, accepted }
}

/** Tries messages of a seed against a server of its own. */
export const hunt = (hunting: Hunting): Promise<Hunted> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(running, (serve) => Effect.promise(() => huntWith(serve, hunting)))))

/** The finding that these bytes are, if they are one: rows of the corpus, and what a report quotes. */
export const findingIn = (text: string): Promise<Finding | undefined> => {
  const bytes = Buffer.from(text, "latin1")
  const judged = Effect.flatMap(running, (serve) =>
    Effect.promise(() => judge({ bytes, segments: [bytes] }, serve, classify))
  )
  return Effect.runPromise(Effect.scoped(Effect.map(judged, ({ finding }) => finding)))
}

/** A finding as a row of text: how to see it again, and what was said. */
export const report = ({ finding, index, message, seed, smallest }: Found): string =>
  [
    `${finding.between}: ${finding.what}`,
    `  again:    npm run fuzz -- --seed ${seed} --at ${index}`,
    `  smallest: ${JSON.stringify(smallest)}`,
    `  message:  ${JSON.stringify(message.length > 2000 ? `${message.slice(0, 2000)}…` : message)}`,
    `  ours:     ${JSON.stringify(finding.ours)}`,
    `  theirs:   ${JSON.stringify(finding.theirs)}`
  ].join("\n")
