/** RFC 9112 §3: the request line, its target, and Host. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask } from "../../support/rawClient.js"
import { otherRows, provesByRows, provesOfEach, rowsById } from "./proofs.js"
import { looking, seenIn } from "./rows.js"

provesByRows("9112/3/long-method", rowsById("method-32-characters", "method-33-characters"))
provesByRows("9112/3/long-target", rowsById("request-line-one-over", "target-never-ends"))
provesOfEach("9112/3/line-of-8000", "whole, and what is asked is what was sent", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(looking)
    const target = `/${"a".repeat(8000 - "GET / HTTP/1.1".length)}`
    const response = yield* ask(port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(seenIn(response).target).toBe(target)
  })
)
provesByRows(
  "9112/3.2/corrected-line",
  rowsById(
    "space-in-target",
    "fragment",
    "obs-text-in-target",
    "nul-in-target",
    "tab-in-target",
    "del-in-target",
    "cr-in-target",
    "lf-in-target"
  )
)
provesByRows(
  "9112/3.2/invalid-line",
  rowsById(
    "two-spaces-after-method",
    "two-spaces-after-target",
    "no-method",
    "tab-instead-of-space",
    "space-after-version",
    "method-alone",
    "no-target",
    "no-target-between-two-spaces",
    "space-in-target",
    "method-with-parenthesis",
    "obs-text-in-method",
    "nul-in-method",
    "request-line-one-over",
    "target-never-ends",
    "method-longer-line-may"
  )
)
provesByRows(
  "9112/3.2/host",
  rowsById(
    "accepted-hosts",
    "http-1-0-may-lack-host-any-field",
    "no-host-in-http-1-1",
    "no-field-at-all-in-http-1-1",
    "no-host-absolute-form-in-http-1-1",
    "host-twice",
    "host-twice-equal",
    "host-twice-in-http-1-0",
    "bad-host-in-http-1-0",
    "bad-host-beside-absolute-form",
    "rejected-hosts"
  )
)
provesByRows("9112/3.2.2/host-ignored", rowsById("absolute-form-beats-host", "scheme-absolute-form-case-blind"))
provesByRows(
  "9112/3.2.2/absolute-form",
  rowsById(
    "absolute-form-beats-host",
    "absolute-form-without-path-root",
    "absolute-form-query-alone",
    "absolute-form-http-1-0-without-host",
    "options-absolute-form-without-path",
    "connect-absolute-form"
  )
)
otherRows("RFC 9112 §3.2: other targets", [
  "origin-form-what-browsers-leave",
  "two-slashes-path-not-authority",
  "connect-authority-form",
  "connect-to-ipv6-address",
  "options-asterisk",
  "target-without-form",
  "query-alone",
  "get-asterisk",
  "asterisk-after",
  "get-authority-form",
  "connect-origin-form",
  "connect-asterisk",
  "connect-to-port-0",
  "connect-to-port-000",
  "connect-without-port",
  "connect-empty-port",
  "connect-to-address-without-port",
  "connect-to-port-65536",
  "connect-to-port-65536-address",
  "connect-to-port-many-digits",
  "connect-port-not-number",
  "connect-to-port-sign",
  "connect-without-host",
  "connect-user-info",
  "another-scheme",
  "scheme-without-authority"
])
