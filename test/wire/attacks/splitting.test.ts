/** Response splitting: no text of a handler's can end a line of a response's head, by whatever API it comes. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { KeyError, ValueError } from "../../../src/Errors.js"
import * as HttpHeaders from "../../../src/HttpHeaders.js"
import type { Request } from "../../../src/Request.js"
import {
  type Responded,
  respond,
  respondStream,
  sendHeaders,
  sendInformational,
  upgrade
} from "../../../src/Response.js"
import { serving } from "../../server/harness.js"
import { connect, requestText } from "../../support/rawClient.js"
import { finalsOf } from "../rfc9112/rows.js"

const second = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nowned"

/** What an attacker hopes to get into a field. */
const injections: ReadonlyArray<string> = [
  `a\r\nContent-Length: 0\r\n\r\n${second}`,
  `a\n\n${second}`,
  `a\rSet-Cookie: b`,
  "a\r\nSet-Cookie: b",
  "a\nSet-Cookie: b",
  "a\x00b",
  // Characters whose low byte is CR or LF, which a careless latin1 would write as such.
  "a\u010d\u010aSet-Cookie: b",
  "a\u560d\u560aSet-Cookie: b"
]

type Answering = (request: Request, text: string) => Effect.Effect<Responded, ValueError>

const chunks = Stream.make("content").pipe(Stream.encodeText)

const apis: Readonly<Record<string, Answering>> = {
  "a value given to respond": (request, text) => respond(request, 200, "content", { "X-A": text }),
  "a name given to respond": (request, text) => respond(request, 200, "content", [[`X-${text}`, "a"]]),
  "Location of a redirect": (request, text) => respond(request, 302, "content", { Location: text }),
  "a value among several": (request, text) => respond(request, 200, "content", { "X-A": ["a", text, "b"] }),
  "headers made beforehand": (request, text) =>
    respond(request, 200, "content", HttpHeaders.make({ "X-A": text, "X-B": "b" })),
  Connection: (request, text) => respond(request, 200, "content", { Connection: text }),
  Date: (request, text) => respond(request, 200, "content", { Date: text }),
  "Content-Length": (request, text) => respond(request, 200, "content", { "Content-Length": text }),
  "a value given to respondStream": (request, text) => respondStream(request, 200, chunks, { "X-A": text }),
  "a name given to respondStream": (request, text) => respondStream(request, 200, chunks, [[text, "a"]]),
  "a value given to sendHeaders": (request, text) =>
    Effect.flatMap(sendHeaders(request, 200, { "X-A": text }), (body) => body.end()),
  "a value given to sendInformational": (request, text) =>
    Effect.zipRight(sendInformational(request, 103, { Link: text }), respond(request, 200, "content")),
  "a name given to sendInformational": (request, text) =>
    Effect.zipRight(sendInformational(request, 103, [[text, "a"]]), respond(request, 200, "content")),
  "a value given to upgrade": (request, text) => upgrade(request, { Upgrade: text }, () => Effect.void),
  "a name given to upgrade": (request, text) => upgrade(request, [[text, "echo"]], () => Effect.void)
}

const offering = requestText("GET /", ["Connection: upgrade, close", "Upgrade: echo"])

/** One request for each injection, on a connection of its own. */
const attacks = injections.map((_, i) => offering.replace("GET /", `GET /${i}`))
const injectionOf = (request: Request): string => injections[Number(request.path.slice(1))] ?? ""

describe("response splitting", () => {
  for (const [api, responding] of Object.entries(apis)) {
    it.scopedLive(`${api}: the whole response is rejected, in 0 bytes, and the handler may send another response`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving((request) =>
          Effect.catchTag(responding(request, injectionOf(request)), "ValueError", (error) =>
            respond(request, 200, error.reason)
          )
        )
        for (const text of attacks) {
          const client = yield* connect(port)
          yield* client.send(text)
          const sent = yield* client.readToEnd
          const finals = finalsOf(sent)
          expect(finals).toHaveLength(1)
          expect(finals[0]?.text).toMatch(/^Header(Name|Value)$/)
          expect(sent.toString("latin1")).toMatch(
            /^HTTP\/1\.1 200 OK\r\nDate: [^\r\n]+\r\nConnection: close\r\nContent-Length: \d+\r\n\r\n/
          )
        }
      })
    )

    it.scopedLive(`${api}: left alone, it is 500 without the text`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving((request) => responding(request, injectionOf(request)))
        for (const text of attacks) {
          const client = yield* connect(port)
          yield* client.send(text)
          const sent = yield* client.readToEnd
          expect(finalsOf(sent).map((response) => [response.status, response.text])).toStrictEqual([
            [500, "500 Internal Server Error\n"]
          ])
        }
      })
    )
  }

  it.scopedLive("a trailer, by its name or value: refused, and the content may still end", () =>
    Effect.gen(function* () {
      for (const text of injections) {
        const { port } = yield* serving((request) =>
          Effect.gen(function* () {
            const body = yield* sendHeaders(request, 200)
            const refused = [yield* Effect.flip(body.end({ "X-A": text })), yield* Effect.flip(body.end([[text, "a"]]))]
            yield* body.write(refused.map((error) => error.reason).join())
            return yield* body.end({ "X-A": "a" })
          }).pipe(Effect.catchAll(() => Effect.die("it was taken")))
        )
        const client = yield* connect(port)
        yield* client.send(offering)
        const finals = finalsOf(yield* client.readToEnd)
        expect(finals.map((response) => [response.text, response.trailers])).toStrictEqual([
          ["HeaderValue,HeaderName", [["X-A", "a"]]]
        ])
      }
    })
  )

  it.scopedLive("content is content: what looks like a chunk or a response in it ends nothing", () =>
    Effect.gen(function* () {
      const text = `0\r\n\r\n${second}\r\n0\r\n\r\n`
      const { port } = yield* serving((request) =>
        request.path === "/whole"
          ? respond(request, 200, text)
          : respondStream(request, 200, Stream.make(text, text).pipe(Stream.encodeText))
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /whole") + requestText("GET /", ["Connection: close"]))
      expect(finalsOf(yield* client.readToEnd).map((response) => response.text)).toStrictEqual([text, text + text])
    })
  )

  it.scopedLive(
    "what a request brings cannot be sent back as a line: neither its target nor its fields can hold one",
    () =>
      Effect.gen(function* () {
        const { port } = yield* serving((request) => {
          const values = Array.from(request.headers, ([, value]) => value)
          return respond(request, 200, "", { Location: request.url, "X-Values": values, "X-Host": request.host })
        })
        const client = yield* connect(port)
        yield* client.send(
          requestText("GET /%0d%0aSet-Cookie:%20a?\x5cr\x5cn", ["X: %0d%0aa\x85\xa0", "Connection: close"])
        )
        const finals = finalsOf(yield* client.readToEnd)
        expect(finals).toHaveLength(1)
        expect(finals[0]?.header("Set-Cookie")).toBe(undefined)
      })
  )

  it.scopedLive("the errors with a response of their own quote no more than a line of content", () =>
    Effect.gen(function* () {
      for (const text of injections) {
        const { port } = yield* serving(
          (request): Effect.Effect<Responded, ValueError | KeyError> =>
            request.path === "/key"
              ? Effect.fail(new KeyError({ name: text, status: 400 }))
              : Effect.fail(new ValueError({ reason: "Json", actual: text }))
        )
        const client = yield* connect(port)
        yield* client.send(requestText("GET /key") + requestText("GET /value", ["Connection: close"]))
        const finals = finalsOf(yield* client.readToEnd)
        expect(finals.map(({ status, text }) => [status, text.trimEnd().includes("\n")])).toStrictEqual([
          [400, false],
          [400, false]
        ])
      }
    })
  )
})
