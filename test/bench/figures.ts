/** What is measured, and what many measurements come to. */

export const figures = {
  cpu: { title: "CPU µs", description: "the server's user and system time a request", of: "" },
  rate: { title: "req/s", description: "requests a second" },
  p50: { title: "p50 ms", description: "a half has its response within it" },
  p99: { title: "p99 ms", description: "99 of 100 are" },
  p999: { title: "p99.9 ms", description: "999 of 1,000 are" },
  gc: { title: "GC µs", description: "garbage collection a request" },
  cpuPerMiB: { title: "CPU µs/MiB", description: "the server's user and system time a MiB", of: ", a MiB" },
  mibRate: { title: "MiB/s", description: "MiB a second" },
  gcPerMiB: { title: "GC µs/MiB", description: "garbage collection a MiB" },
  rise: { title: "rise MiB", description: "how far the resident memory rose above what it was before, at most" },
  rss: { title: "RSS MiB", description: "memory resident at the end" },
  perConnection: { title: "bytes/conn", description: "resident memory of an idle connection", of: ", bytes each" },
  heapPerConnection: { title: "heap/conn", description: "the part of it that is V8's objects" }
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

/** The most significant figure of a workload: it does not depend on what else the machine does, or least. */
export const chiefOf = (outcomes: ReadonlyMap<string, Outcome>): "cpu" | "cpuPerMiB" | "perConnection" | undefined =>
  (["cpu", "cpuPerMiB", "perConnection"] as const).find((figure) =>
    [...outcomes.values()].some((outcome) => figure in outcome)
  )

/** A figure of one peer over another's. */
export const ratio = (one: Outcome, other: Outcome, figure: Figure): number | undefined => {
  const [above, below] = [one[figure]?.median, other[figure]?.median]
  return above === undefined || below === undefined || below === 0 ? undefined : above / below
}
