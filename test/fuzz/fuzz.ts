/**
 * `npm run fuzz -- --seconds 600 --seed 1`: tries messages for so long, prints what it finds, and exits 1 if it found
 * anything. Without a seed it takes one from the clock, and prints it; `--at N` tries that message of the seed, alone.
 */
import { parseArgs } from "node:util"
import { progressOf } from "../progress.js"
import { type Found, hunt, report } from "./hunt.js"

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    at: { type: "string" }
  }
})

const numberOf = (name: string, text: string): number => {
  const value = Number(text)
  if (text !== "" && Number.isFinite(value) && value >= 0) return value
  console.error(`--${name} is not a number: ${text}`)
  process.exit(2)
}

const seed = numberOf("seed", options.seed)
const seconds = numberOf("seconds", options.seconds)
const { at } = options

const start = performance.now()
const elapsed = (): number => (performance.now() - start) / 1000

console.log(`seed ${seed}, node ${process.version}, llhttp ${process.versions.llhttp}`)
const progress = progressOf("fuzz")
progress.step(`tries messages for ${seconds} s`)
const onFound = (each: Found): void => console.log(`\n${report(each)}`)
const { accepted, found, tried } = await hunt(
  at === undefined
    ? {
        seed,
        onFound,
        goesOn: (tried) => {
          progress.now(`${tried} messages`)
          return elapsed() < seconds
        }
      }
    : { seed, onFound, from: numberOf("at", at), batchSize: 1, goesOn: (tried) => tried === 0 }
)

console.log("\ndifferences to node:http that a rule accepts:")
for (const [name, count] of Array.from(accepted).sort(([, a], [, b]) => b - a)) {
  console.log(`${String(count).padStart(9)}  ${name}`)
}
console.log(`\n${tried} messages in ${elapsed().toFixed(1)} s, ${found.length} findings`)
process.exitCode = found.length > 0 ? 1 : 0
