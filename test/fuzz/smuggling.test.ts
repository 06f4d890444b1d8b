/** Request smuggling against the real server over sockets: one refusal, at the byte it is due, and nothing hidden runs. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { respond } from "../../src/Response.js"
import { serving } from "../server/harness.js"
import { parseAnswers } from "../wire/answer.js"
import { turns } from "../wire/facts.js"
import { connect } from "../wire/raw.js"
import { attacks, harmless, smuggled } from "./smuggling.js"

/** A server that notes what its handler sees, as soon as it does, and then reads the body. */
const noting = Effect.gen(function* () {
  const seen: Array<string> = []
  const bodies: Array<string> = []
  const { port } = yield* serving((request) => {
    seen.push(request.url)
    return Effect.flatMap(request.text, (body) => {
      bodies.push(body)
      return respond(request, 200)
    })
  })
  return { port, seen, bodies }
})

const first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n"

describe("a smuggled request", () => {
  it.scopedLive.each(attacks)("does not run, however it is sent: $title", ({ hidden, refused, seen, status }) =>
    Effect.gen(function* () {
      const { port, seen: actual } = yield* noting
      const wire = yield* connect(port)
      yield* wire.send(`${first}${refused}${hidden}${smuggled}`)
      const answers = parseAnswers(yield* wire.readToEnd)
      expect(answers.map((answer) => answer.status)).toStrictEqual([200, status])
      expect(answers[1]?.header("Connection")).toBe("close")
      expect(yield* wire.ending).toBe("FIN")
      expect(actual).toStrictEqual(["/first", ...seen])
    })
  )

  it.scopedLive.each(attacks)("is refused at its byte, not before: $title", ({ refused, seen, status }) =>
    Effect.gen(function* () {
      const { port, seen: actual } = yield* noting
      const wire = yield* connect(port)
      yield* wire.send(refused.slice(0, -1))
      yield* turns(20)
      expect(yield* wire.readUntil(() => true)).toBe("")
      yield* wire.send(refused.slice(-1))
      const answers = parseAnswers(yield* wire.readToEnd)
      expect(answers.map((answer) => answer.status)).toStrictEqual([status])
      expect(actual).toStrictEqual(seen)
    })
  )

  it.scopedLive.each(harmless)("is a body, when what stands beside its length is no framing: %s", ([, line]) =>
    Effect.gen(function* () {
      const { bodies, port, seen } = yield* noting
      const wire = yield* connect(port)
      const length = `Content-Length: ${smuggled.length}`
      yield* wire.send(`POST /victim HTTP/1.1\r\nHost: a\r\n${length}\r\n${line}\r\n\r\n${smuggled}${first}`)
      expect((yield* wire.readAnswer()).status).toBe(200)
      expect((yield* wire.readAnswer()).status).toBe(200)
      expect(seen).toStrictEqual(["/victim", "/first"])
      expect(bodies).toStrictEqual([smuggled, ""])
    })
  )

  it("has a row for each of the known ways", () => {
    expect(attacks.length).toBeGreaterThan(100)
    expect(new Set(attacks.map(({ title }) => title)).size).toBe(attacks.length)
    expect(attacks.filter(({ hidden }) => !`${hidden}${smuggled}`.includes("GET /smuggled"))).toStrictEqual([])
  })
})
