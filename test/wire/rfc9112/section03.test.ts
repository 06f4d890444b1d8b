/** RFC 9112 §3: the request line, its target, and Host. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask } from "../rawConnection.js"
import { otherRows, provesByRows, provesOfEach, rowsAbout } from "./proofs.js"
import { looking, seenIn } from "./rows.js"

provesByRows("9112/3/long-method", rowsAbout(/a method of 3. characters(, and not a byte more)?$/))
provesByRows("9112/3/long-target", rowsAbout(/a request line of one byte more|a target that never ends/))
provesOfEach("9112/3/line-of-8000", "whole, and what is asked is what was sent", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(looking)
    const target = `/${"a".repeat(8000 - "GET / HTTP/1.1".length)}`
    const response = yield* ask(port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(seenIn(response).target).toBe(target)
  })
)
provesByRows("9112/3.2/corrected-line", rowsAbout(/(fragment|in the target)$/))
provesByRows("9112/3.2/invalid-line", rowsAbout(/^RFC 9112 §3(\.1)?: /))
provesByRows("9112/3.2/host", rowsAbout(/§3\.2: (.*Host|the host|no field at all)/))
provesByRows("9112/3.2.2/host-ignored", rowsAbout(/beats Host|scheme of absolute-form/))
provesByRows("9112/3.2.2/absolute-form", rowsAbout(/: absolute-form|whole server in absolute-form/))
otherRows("RFC 9112 §3.2: other targets", /^RFC 9112 §3/)
