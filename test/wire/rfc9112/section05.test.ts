/** RFC 9112 §5: field lines. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { otherRows, proves, provesByRows, rowsAbout } from "./proofs.js"
import { sneaking } from "./sneaking.js"

provesByRows("9112/5.1/space-before-colon", rowsAbout(/§5\.1: a (space|tab) before the colon/))
proves(
  "9112/5.2/fold-sent",
  "no API takes one",
  Effect.gen(function* () {
    for (const text of ["a\r\n b", "a\r\n\tb", "a\n b", "\r\n "]) {
      expect(yield* sneaking(text)).not.toMatch(/\r\n[ \t]/)
    }
  })
)
provesByRows("9112/5.2/fold", rowsAbout(/§5\.2/))
otherRows("RFC 9112 §5: other field lines", /^RFC 9112 §5/)
