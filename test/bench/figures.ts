/** What is measured, and what many measurements come to. */

export const figures = {
  cpu: { title: "CPU µs", says: "the server's user and system time a request", of: "" },
  rate: { title: "req/s", says: "requests a second" },
  p50: { title: "p50 ms", says: "a half is answered within it" },
  p99: { title: "p99 ms", says: "99 of 100 are" },
  p999: { title: "p99.9 ms", says: "999 of 1,000 are" },
  gc: { title: "GC µs", says: "garbage collection a request" },
  cpuPerMiB: { title: "CPU µs/MiB", says: "the server's user and system time a MiB", of: ", a MiB" },
  mibRate: { title: "MiB/s", says: "MiB a second" },
  gcPerMiB: { title: "GC µs/MiB", says: "garbage collection a MiB" },
  rise: { title: "rise MiB", says: "how far the resident memory rose above what it was before, at most" },
  rss: { title: "RSS MiB", says: "memory resident at the end" },
  perConnection: { title: "bytes/conn", says: "resident memory of an idle connection", of: ", bytes each" },
  heapPerConnection: { title: "heap/conn", says: "the part of it that is V8's objects" }
} as const

export type Figure = keyof typeof figures

/** One measurement of a peer under a workload. */
export type Sample = { readonly [figure in Figure]?: number | undefined }

/** What the rounds come to. */
export interface Measured {
  readonly rounds: number
  readonly median: number
  readonly min: number
  readonly max: number
}

export const measured = (numbers: ReadonlyArray<number>): Measured => {
  const sorted = [...numbers].sort((one, other) => one - other)
  const middle = (sorted.length - 1) / 2
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]]
  return {
    rounds: numbers.length,
    median: (low + high) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN
  }
}

export type Outcome = { readonly [figure in Figure]?: Measured }

/** The figures that there are, in their order. */
export const figuresIn = (outcomes: Iterable<Outcome>): ReadonlyArray<Figure> => {
  const all = [...outcomes]
  return (Object.keys(figures) as ReadonlyArray<Figure>).filter((figure) => all.some((each) => figure in each))
}

export const outcomeOf = (samples: ReadonlyArray<Sample>): Outcome => {
  const outcome: { [figure in Figure]?: Measured } = {}
  for (const figure of Object.keys(figures) as ReadonlyArray<Figure>) {
    const numbers = samples.flatMap((sample) => sample[figure] ?? [])
    if (numbers.length > 0) outcome[figure] = measured(numbers)
  }
  return outcome
}

/** The figure that says most of a workload: it does not depend on what else the machine does, or least. */
export const chiefOf = (outcomes: ReadonlyMap<string, Outcome>): "cpu" | "cpuPerMiB" | "perConnection" | undefined =>
  (["cpu", "cpuPerMiB", "perConnection"] as const).find((figure) =>
    [...outcomes.values()].some((outcome) => figure in outcome)
  )

/** A figure of one peer over another's. */
export const ratio = (one: Outcome, other: Outcome, figure: Figure): number | undefined => {
  const [above, below] = [one[figure]?.median, other[figure]?.median]
  return above === undefined || below === undefined || below === 0 ? undefined : above / below
}
