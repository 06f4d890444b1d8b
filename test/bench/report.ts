/** What a run has found, as tables, as JSON and as a block of README.md. */
import { chiefOf, type Figure, figures, figuresIn, type Measured, type Outcome, ratio } from "./figures.js"
import { ceiling, ours } from "./peer.js"
import type { Machine } from "./proc.js"

/** What came of one workload. */
export interface Result {
  readonly work: string
  readonly title: string
  readonly connections: number
  /** Of which curve it is a point, and where. */
  readonly at: { readonly curve: string; readonly point: number } | undefined
  readonly outcomes: ReadonlyMap<string, Outcome>
}

/** Why there is no figure. */
export interface Absence {
  readonly work: string
  /** All of them, when it is left out. */
  readonly peer: string | undefined
  readonly reason: string
  /** Whether it should have been there. */
  readonly isFailure: boolean
}

export interface Report {
  readonly date: string
  readonly machine: Machine
  readonly node: string
  readonly generator: string
  readonly how: string
  /** All that were asked for. */
  readonly peers: ReadonlyArray<{
    readonly name: string
    readonly title: string
    readonly colour: string
    readonly versions: ReadonlyArray<string>
    readonly omits: string | undefined
  }>
  readonly results: ReadonlyArray<Result>
  readonly absences: ReadonlyArray<Absence>
  readonly remarks: ReadonlyArray<string>
}

/** Three digits that count. */
export const number = (value: number): string => {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

const times = (value: number | undefined): string => (value === undefined ? "" : value.toFixed(2))

/** Columns as wide as they need, the first to the left. */
export const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      widths
        .map((width, column) => (column === 0 ? (row[0] ?? "").padEnd(width) : (row[column] ?? "").padStart(width)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

/** The median, and half of how far the rounds lie apart. */
const spread = ({ max, median, min, rounds }: Measured): string => {
  if (rounds === 1) return number(median)
  return `${number(median)} ±${median === 0 ? 0 : Math.round(((max - min) / 2 / Math.abs(median)) * 100)}%`
}

export const titleOf = ({ peers }: Report, name: string): string =>
  peers.find((peer) => peer.name === name)?.title ?? name

const values = (report: Report, outcomes: ReadonlyMap<string, Outcome>, columns: ReadonlyArray<Figure>): string =>
  aligned([
    ["", ...columns.map((figure) => figures[figure].title)],
    ...[...outcomes].map(([name, outcome]) => [
      titleOf(report, name),
      ...columns.map((figure) => {
        const value = outcome[figure]
        return value === undefined ? "–" : spread(value)
      })
    ])
  ])

/** Every peer over one of them, or that one over every peer. */
const ratios = (
  report: Report,
  outcomes: ReadonlyMap<string, Outcome>,
  columns: ReadonlyArray<Figure>,
  of: (outcome: Outcome, figure: Figure) => number | undefined
): string =>
  aligned([
    ["", ...columns.map((figure) => figures[figure].title.replace(/ .*/, ""))],
    ...[...outcomes].map(([name, outcome]) => [
      titleOf(report, name),
      ...columns.map((figure) => times(of(outcome, figure)))
    ])
  ])

/** The figures of a workload, and what they are to the ceiling's and to each peer's. */
export const tablesOf = (report: Report, { connections, outcomes, title }: Result): string => {
  const columns = figuresIn(outcomes.values())
  const many = `${connections.toLocaleString("en-US")} ${connections === 1 ? "connection" : "connections"}`
  const tables = [`${title} (${many})`, values(report, outcomes, columns)]
  const [lowest, own] = [outcomes.get(ceiling), outcomes.get(ours)]
  if (lowest !== undefined && outcomes.size > 1) {
    tables.push(`… over ${titleOf(report, ceiling)}`)
    tables.push(ratios(report, outcomes, columns, (outcome, figure) => ratio(outcome, lowest, figure)))
  }
  if (own !== undefined && outcomes.size > 1) {
    tables.push(`… ${titleOf(report, ours)} over each`)
    tables.push(ratios(report, outcomes, columns, (outcome, figure) => ratio(own, outcome, figure)))
  }
  return `\n${tables.join("\n")}`
}

/** What a curve comes to, a table a figure. */
export const tablesOfCurve = (report: Report, title: string, points: ReadonlyArray<Result>): string => {
  const columns = figuresIn(points.flatMap(({ outcomes }) => [...outcomes.values()]))
  const names = report.peers.map(({ name }) => name).filter((name) => points.some(({ outcomes }) => outcomes.has(name)))
  const tables = columns.map((figure) =>
    aligned([
      [figures[figure].title, ...names.map((name) => titleOf(report, name))],
      ...points.map(({ at, outcomes }) => [
        (at?.point ?? 0).toLocaleString("en-US"),
        ...names.map((name) => {
          const value = outcomes.get(name)?.[figure]
          return value === undefined ? "–" : spread(value)
        })
      ])
    ])
  )
  return `\nOver ${title}\n${tables.join("\n")}`
}

const about = ({ machine, node }: Report): string =>
  `${machine.processor}, ${machine.cores} cores, ${machine.memory}; ${machine.kernel}; Node ${node}`

/** What was run, where. */
export const opening = (report: Report): string =>
  [
    `${report.date}: ${about(report)}; ${machineLimits(report)}`,
    report.how,
    `sent by ${report.generator}`,
    ...report.peers.map(
      ({ omits, title, versions }) => `  ${title}: ${versions.join(", ")}${omits === undefined ? "" : ` (${omits})`}`
    )
  ].join("\n")

const machineLimits = ({ machine }: Report): string =>
  `${machine.descriptors.toLocaleString("en-US")} descriptors; load ${machine.busy.toFixed(2)} when it began`

/** What the columns mean, what is not there, and why. */
export const closing = (report: Report): string => {
  const columns = figuresIn(report.results.flatMap(({ outcomes }) => [...outcomes.values()]))
  const lines = ["", ...columns.map((figure) => `${figures[figure].title}: ${figures[figure].description}`)]
  if (report.remarks.length > 0) lines.push("", "remarks:", ...report.remarks.map((remark) => `  ${remark}`))
  const failures = report.absences.filter(({ isFailure }) => isFailure)
  const differences = report.absences.filter(({ isFailure }) => !isFailure)
  if (differences.length > 0) lines.push("", "not comparable:", ...reasonsOf(report, differences))
  if (failures.length > 0) lines.push("", "failed:", ...reasonsOf(report, failures))
  return lines.join("\n")
}

/** One line a reason, however many workloads it keeps a peer from. */
const reasonsOf = (report: Report, absences: ReadonlyArray<Absence>): ReadonlyArray<string> => {
  const reasons = new Map<string, ReadonlySet<string>>()
  for (const { peer, reason, work } of absences) {
    const key = `${peer === undefined ? "every peer" : titleOf(report, peer)}, because ${reason}`
    reasons.set(key, new Set([...(reasons.get(key) ?? []), work]))
  }
  return [...reasons].map(([reason, works]) => `  ${[...works].join(", ")}: ${reason}`)
}

export const toJson = (report: Report): string =>
  `${JSON.stringify(
    {
      ...report,
      figures,
      results: report.results.map(({ outcomes, ...result }) => ({
        ...result,
        outcomes: Object.fromEntries(outcomes),
        ratios: Object.fromEntries(
          [...outcomes].map(([name, one]) => [
            name,
            Object.fromEntries(
              [...outcomes]
                .filter(([other]) => other !== name)
                .map(([other, outcome]) => [
                  other,
                  Object.fromEntries(figuresIn([one]).map((figure) => [figure, ratio(one, outcome, figure)]))
                ])
            )
          ])
        )
      }))
    },
    null,
    2
  )}\n`

const opens = "<!-- bench: made by npm run bench -- --readme -->"
const closes = "<!-- end of bench -->"

/** README.md with its block of figures made anew: µs of processor time, workload by peer. */
export const inReadme = (readme: string, report: Report, chart: string): string => {
  const [before, rest] = readme.split(opens)
  const after = rest?.split(closes)[1]
  if (before === undefined || after === undefined) throw new Error(`README.md has no ${opens} … ${closes}`)
  const names = report.peers.map(({ name }) => name)
  const rows = report.results
    .filter(({ at }) => at === undefined)
    .flatMap(({ outcomes, title }) => {
      const figure = chiefOf(outcomes)
      if (figure === undefined) return []
      const cells = names.map((name) => {
        const value = outcomes.get(name)?.[figure]
        return value === undefined ? "" : number(value.median)
      })
      return [`| ${[title + figures[figure].of, ...cells].join(" | ")} |`]
    })
  const block = [
    `Server CPU time, user and system, in µs a request: medians of a run of \`npm run bench\`, ${report.date}. ${about(report)}.`,
    "",
    `| | ${report.peers.map(({ title }) => title).join(" | ")} |`,
    `|---|${names.map(() => "---:").join("|")}|`,
    ...rows,
    "",
    `![µs of processor time a request, by workload and peer](${chart})`
  ]
  return `${before}${opens}\n${block.join("\n")}\n${closes}${after}`
}
