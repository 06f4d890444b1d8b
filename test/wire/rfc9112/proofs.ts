/** How a test says which requirement it proves; `proofsIn.ts` reads these calls. */
import { describe, it } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type RequirementId, titleOf } from "../requirements.js"
import { type Subject, subjects } from "../subjects.js"
import { fixtures, type Row, runRow } from "./rows.js"

/** Rows that have been run under a requirement. */
const proving = new Set<string>()

/** Proves a requirement by a test that asks each subject. */
export const provesOfEach = (
  id: RequirementId,
  how: string,
  test: (subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>
): void => {
  describe(titleOf(id), () => {
    for (const subject of subjects) it.scopedLive(`${how} (${subject.name})`, () => test(subject))
  })
}

/** The same under a `TestClock`. */
export const provesOfEachInTestTime = (
  id: RequirementId,
  how: string,
  test: (subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>
): void => {
  describe(titleOf(id), () => {
    for (const subject of subjects) it.scoped(`${how} (${subject.name})`, () => test(subject))
  })
}

/** Proves a requirement by a test of the native server's own API. */
export const proves = (id: RequirementId, how: string, test: Effect.Effect<void, unknown, Scope.Scope>): void => {
  describe(titleOf(id), () => {
    it.scopedLive(how, () => test)
  })
}

/** The same under a `TestClock`. */
export const provesInTestTime = (
  id: RequirementId,
  how: string,
  test: Effect.Effect<void, unknown, Scope.Scope>
): void => {
  describe(titleOf(id), () => {
    it.scoped(how, () => test)
  })
}

/** Proves a requirement by rows. */
export const provesByRows = (id: RequirementId, rows: ReadonlyArray<Row>): void => {
  describe(titleOf(id), () => {
    for (const row of rows) {
      proving.add(row.title)
      runRow(row)
    }
  })
}

/** The rows of the fixtures whose titles match: there must be some, and none of them may have been run already. */
export const rowsAbout = (title: RegExp): ReadonlyArray<Row> => {
  const rows = fixtures.filter((row) => title.test(row.title) && !proving.has(row.title))
  if (rows.length === 0) throw new Error(`no rows about ${title}`)
  return rows
}

/** The other rows of a section, which settle what the RFC leaves open. */
export const otherRows = (heading: string, title: RegExp): void => {
  describe(heading, () => {
    for (const row of rowsAbout(title)) runRow(row)
  })
}
