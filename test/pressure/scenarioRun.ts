/** What a scenario is given: processes to press, which end with it, and a place for its figures. */
import type { Census } from "./protocol.js"
import { exactly, failed, type Measured, type Row, rowOf, skipped } from "./report.js"
import { ServerProcess, type ServerProcessOptions } from "./serverProcess.js"
import { eventually } from "./waiting.js"

export interface Choices {
  /** As much as shows that it works: seconds, where the whole takes minutes. */
  readonly isQuick: boolean
  /** How long the soak lasts. */
  readonly seconds: number
  readonly seed: number
  /** Told of each row as it is made. */
  readonly onRow: (row: Row) => void
}

const megabyte = 1e6

/** Bytes by which a heap may have grown for good: what has been compiled and cached meanwhile. */
const heapMargin = 4 * megabyte

/** What has to be as it was; a heap is never so to the byte. */
const kept = ["descriptors", "held", "fibers", "handlers", "timers", "handles"] as const

const isLike = (before: Census, { heap, ...now }: Census): boolean =>
  kept.every((name) => now[name] <= before[name]) && heap <= before.heap + heapMargin

export class ScenarioRun {
  readonly rows: Array<Row> = []
  private readonly ends: Array<() => Promise<void> | void> = []

  constructor(
    private readonly name: string,
    readonly choices: Choices
  ) {}

  private add(row: Row): void {
    this.rows.push(row)
    this.choices.onRow(row)
  }

  measured(measured: Measured): void {
    this.add(rowOf(this.name, measured))
  }

  skipped(what: string, reason: string): void {
    this.add(skipped(this.name, what, reason))
  }

  failed(what: string, reason: string): void {
    this.add(failed(this.name, what, reason))
  }

  /** Called when the scenario has ended, however it did; the last one first. */
  atEnd(end: () => Promise<void> | void): void {
    this.ends.unshift(end)
  }

  async process(options?: ServerProcessOptions): Promise<ServerProcess> {
    const server = await ServerProcess.start(options)
    this.atEnd(() => server.end())
    return server
  }

  /** Waits until a process holds what it held before, and nothing more: descriptors, fibers, timers, handles, memory. */
  async nothingIsLeft(server: ServerProcess, before: Census, what = ""): Promise<void> {
    const now = await eventually(
      () => server.census(),
      (seen) => isLike(before, seen)
    )
    const more = kept.map((name) => `${name} ${before[name]} → ${now[name]}`)
    const heap = `heap ${(before.heap / megabyte).toFixed(1)} → ${(now.heap / megabyte).toFixed(1)} MB`
    const left = kept.reduce((sum, name) => sum + Math.max(0, now[name] - before[name]), 0)
    this.measured({
      what: `leaked${what}`,
      figure: left + (now.heap > before.heap + heapMargin ? 1 : 0),
      bound: exactly(0),
      remark: `${more.join(", ")}, ${heap}`
    })
  }

  async end(): Promise<void> {
    for (const end of this.ends) await end()
  }
}
