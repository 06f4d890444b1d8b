/** What a run has measured: figures, each beside its bound. */
import { number } from "../bench/report.js"

export interface Bound {
  readonly text: string
  readonly holds: (figure: number) => boolean
}

export type Unit = "" | "ms" | "s" | "MB" | "KB" | "%" | "×"

const withUnit = (figure: number, unit: Unit): string => {
  const text = Number.isInteger(figure) ? figure.toLocaleString("en-US") : number(figure)
  return unit === "" ? text : `${text} ${unit}`
}

export const exactly = (expected: number, unit: Unit = ""): Bound => ({
  text: withUnit(expected, unit),
  holds: (figure) => figure === expected
})

export const atMost = (most: number, unit: Unit = ""): Bound => ({
  text: `≤ ${withUnit(most, unit)}`,
  holds: (figure) => figure <= most
})

export const atLeast = (least: number, unit: Unit = ""): Bound => ({
  text: `≥ ${withUnit(least, unit)}`,
  holds: (figure) => figure >= least
})

export interface Row {
  readonly scenario: string
  readonly what: string
  /** Empty where nothing is demanded. */
  readonly bound: string
  readonly figure: string
  /** What a reader should know beside the figure. */
  readonly remark: string
  readonly verdict: "pass" | "FAIL" | "skipped" | ""
  /** Whether other work on the machine can make it worse. */
  readonly isTimed: boolean
}

export interface Measured {
  readonly what: string
  readonly figure: number
  readonly bound?: Bound
  readonly unit?: Unit
  readonly remark?: string
  readonly isTimed?: boolean
}

export const rowOf = (
  scenario: string,
  { bound, figure, isTimed = false, remark = "", unit = "", what }: Measured
): Row => ({
  scenario,
  what,
  bound: bound?.text ?? "",
  figure: withUnit(figure, unit),
  remark,
  verdict: bound === undefined ? "" : bound.holds(figure) ? "pass" : "FAIL",
  isTimed
})

const reported = (scenario: string, what: string, remark: string, verdict: Row["verdict"]): Row => ({
  scenario,
  what,
  bound: "",
  figure: "",
  remark,
  verdict,
  isTimed: false
})

export const skipped = (scenario: string, what: string, reason: string): Row =>
  reported(scenario, what, reason, "skipped")

export const failed = (scenario: string, what: string, reason: string): Row => reported(scenario, what, reason, "FAIL")

export const hasFailed = ({ verdict }: Row): boolean => verdict === "FAIL"

/** Columns as wide as they need. A remark is long, and stands in the table only where there is no figure. */
export const tableOf = (rows: ReadonlyArray<Row>): string => {
  const lines = [
    ["", "scenario", "what", "bound", "figure"],
    ...rows.map(({ bound, figure, remark, scenario, verdict, what }) => {
      return [verdict, scenario, what, bound, figure === "" ? remark : figure]
    })
  ]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")).join("\n")
}

/** One of them, by itself. */
export const lineOf = ({ bound, figure, remark, verdict, what }: Row): string =>
  [verdict, what, bound === "" ? "" : `[${bound}]`, figure, remark === "" ? "" : `(${remark})`]
    .filter((text) => text !== "")
    .join("  ")
