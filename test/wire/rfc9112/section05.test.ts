/** RFC 9112 §5: field lines. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { requestText } from "../../support/rawClient.js"
import { replying, toldBy } from "../subjects.js"
import { tryInjections } from "./injection.js"
import { otherRows, proves, provesByRows, provesOfEach, rowsById } from "./proofs.js"

provesByRows(
  "9112/5.1/space-before-colon",
  rowsById("space-before-colon", "tab-before-colon", "space-before-colon-content-length")
)
provesOfEach(
  "9112/5.2/fold-sent",
  "a response whose field has one is a defect: 500, and nothing of it is sent",
  (subject) =>
    Effect.gen(function* () {
      for (const text of ["a\r\n b", "a\r\n\tb", "a\n b", "\r\n "]) {
        const sent = yield* toldBy(
          subject,
          replying(200, "", { "X-A": text }),
          requestText("GET /", ["Connection: close"])
        )
        expect(sent).toMatch(/^HTTP\/1\.1 500 /)
        expect(sent).not.toMatch(/[\r\n][ \t]|X-A/i)
      }
    })
)
proves(
  "9112/5.2/fold-sent",
  "no API takes one",
  Effect.gen(function* () {
    for (const text of ["a\r\n b", "a\r\n\tb", "a\n b", "\r\n "]) {
      expect(yield* tryInjections(text)).not.toMatch(/\r\n[ \t]/)
    }
  })
)
provesByRows("9112/5.2/fold", rowsById("folded-line", "line-folded-tab", "fold-nothing-but-space"))
otherRows("RFC 9112 §5: other field lines", [
  "whitespace-around-values",
  "value-colons-commas",
  "no-colon",
  "no-colon-space",
  "empty-name"
])
