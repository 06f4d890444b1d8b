/** The calls by which a test names the requirement it proves; `proofsIn.ts` reads them from the source. */
import { describe, it } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type RequirementId, titleOf } from "../requirements.js"
import { otherTransports, type Subject, subjects } from "../subjects.js"
import { fixtures, type Row, runRow } from "./rows.js"

/** Sections about what a transport carries: framing of bodies, persistence, pipelining, and the end of a connection. */
const isOfTransport = (id: RequirementId): boolean => /^9112\/[679]\./.test(id)

const subjectsOf = (id: RequirementId): ReadonlyArray<Subject> =>
  isOfTransport(id) ? [...subjects, ...otherTransports] : subjects

/** Proves a requirement by a test that runs against each subject, over each transport where the section is about that. */
export const provesOfEach = (
  id: RequirementId,
  how: string,
  test: (subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>
): void => {
  describe(titleOf(id), () => {
    for (const subject of subjectsOf(id)) it.scopedLive(`${how} (${subject.name})`, () => test(subject))
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
    for (const row of rows) runRow(row)
  })
}

/** The rows of the fixtures with these ids, each of a row or of a group of rows. */
export const rowsById = (...ids: ReadonlyArray<string>): ReadonlyArray<Row> =>
  ids.flatMap((id) => {
    const rows = fixtures.filter((row) => row.id === id || row.group === id)
    if (rows.length === 0) throw new Error(`no row or group has the id ${id}`)
    return rows
  })

/** The other rows of a section, which decide what the RFC leaves open. */
export const otherRows = (heading: string, ids: ReadonlyArray<string>): void => {
  describe(heading, () => {
    for (const row of rowsById(...ids)) runRow(row)
  })
}
