/** RFC 9110: what it asks of an origin server's HTTP/1.1, in its order. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Request } from "../../../src/Request.js"
import {
  type Handler,
  respond,
  respondStream,
  sendHeaders,
  sendInformational,
  tunnel,
  upgrade
} from "../../../src/Response.js"
import { refuses } from "../../fixtures/messages/message.js"
import { refusal, serving } from "../../server/harness.js"
import { advance, servingInMemory } from "../../server/memory.js"
import { turns } from "../facts.js"
import { ask, connect, requestText, withBody } from "../raw.js"
import { otherRows, proves, provesByRows, provesInTestTime, rowsAbout } from "../rfc9112/proofs.js"
import { expectRefusal, finalsOf, seeing, seenIn } from "../rfc9112/rows.js"
import { sneaking } from "../rfc9112/sneaking.js"

const pieces = Stream.make("one, ", "two").pipe(Stream.encodeText)

/** All that a connection brings for these bytes, until the server ends it. */
const conversation = (handler: Handler, text: string): Effect.Effect<string> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { port } = yield* serving(handler)
      const wire = yield* connect(port)
      yield* wire.send(text)
      return (yield* wire.readToEnd).toString("latin1")
    })
  )

const closing = (line: string, fields: ReadonlyArray<string> = [], body = ""): string =>
  requestText(line, ["Connection: close", ...fields], body)

proves(
  "9110/2.2/grammar",
  "names, values, codes and trailers of a handler are checked",
  Effect.gen(function* () {
    for (const text of ["\x00", "a\x07", "\x7f", "\u20ac", "a\r\nSet-Cookie: b"]) yield* sneaking(text)
    const sent = yield* conversation(
      (request) =>
        Effect.gen(function* () {
          for (const name of ["", "a b", "a:", "(", "ü", "a\r\n"]) {
            expect((yield* refusal(respond(request, 200, "", [[name, "b"]]))).reason).toBe("HeaderName")
          }
          for (const code of [0, 99, 100, 199, 600, 1000, 200.5, Number.NaN, -200]) {
            expect((yield* refusal(respond(request, code))).reason).toBe("StatusCode")
          }
          return yield* respond(request, 200)
        }),
      closing("GET /")
    )
    expect(finalsOf(Buffer.from(sent))).toHaveLength(1)
  })
)
provesByRows("9110/2.5/minor", rowsAbout(/§2\.5: HTTP\/1\.9|§9\.3: HTTP\/1\.2/))
proves(
  "9110/2.5/own-version",
  "to every version that is asked in",
  Effect.gen(function* () {
    for (const version of ["1.0", "1.1", "1.9", "0.9", "2.0", "3.0"]) {
      const text = `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`
      expect(yield* conversation((request) => respond(request, 200), text)).toMatch(/^HTTP\/1\.1 /)
    }
  })
)
provesByRows("9110/4.2.1/empty-host", rowsAbout(/§4\.2\.1/))
provesByRows("9110/4.2.4/user-info", rowsAbout(/§4\.2\.4/))
proves(
  "9110/5.3/head-first",
  "the handler runs at the last byte of the section, not before, and not when a later field is wrong",
  Effect.gen(function* () {
    let asked = 0
    const { port } = yield* serving((request) => {
      asked++
      return respond(request, 200)
    })
    const text = requestText("DELETE /", ["A: b", "C: d"])
    const wire = yield* connect(port)
    for (const byte of text.slice(0, -1)) yield* wire.send(byte)
    yield* turns(5)
    expect(asked).toBe(0)
    yield* wire.send("\n")
    expect((yield* wire.readAnswer()).status).toBe(200)
    expectRefusal(yield* ask(port, requestText("DELETE /", ["A: b", "C : d"])), 400)
    expect(asked).toBe(1)
  })
)
provesByRows("9110/5.4/too-large", rowsAbout(/RFC 6585 §5/))
provesByRows("9110/5.5/control", rowsAbout(/§5\.5: (NUL|a bare CR|a bare LF)/))
provesByRows("9110/5.5/space", rowsAbout(/white space around values/))
provesByRows(
  "9110/5.6.1/empty-members",
  rowsAbout(/§5\.6\.1\.2|close beside empty members|the codings "(chunked,|,chunked|gzip,, chunked)"/)
)
proves(
  "9110/5.6.7/date",
  "of now, in the one form that is sent",
  Effect.gen(function* () {
    const { port } = yield* serving((request) => respond(request, 200))
    const date = (yield* ask(port, requestText("GET /"))).header("Date") ?? ""
    expect(date).toMatch(
      /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/
    )
    expect(Math.abs(Date.parse(date) - Date.now())).toBeLessThan(60_000)
  })
)
provesByRows("9110/6.5.1/merged", rowsAbout(/§6\.5\.1|trailers in their order/))
proves(
  "9110/6.5.1/sent",
  "those that a handler gives are refused",
  Effect.gen(function* () {
    const sent = yield* conversation(
      (request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200)
          for (const name of [
            "Content-Length",
            "transfer-encoding",
            "Host",
            "Set-Cookie",
            "Authorization",
            "Trailer"
          ]) {
            expect((yield* refusal(body.end({ [name]: "1" }))).reason).toBe("HeaderForbidden")
          }
          return yield* body.end({ "X-Sum": "1" })
        }),
      closing("GET /")
    )
    expect(finalsOf(Buffer.from(sent))[0]?.trailers).toStrictEqual([["X-Sum", "1"]])
  })
)
proves(
  "9110/6.6.1/date",
  "of handlers, of errors, of refusals",
  Effect.gen(function* () {
    const { port } = yield* serving((request) => {
      const code = Number(request.path.slice(1))
      return code === 500 ? Effect.die("mine") : respondStream(request, code, Stream.empty)
    })
    const wire = yield* connect(port)
    for (const code of [200, 204, 205, 301, 304, 404, 418, 500, 503]) {
      yield* wire.send(requestText(`GET /${code}`))
      const answer = yield* wire.readAnswer()
      expect(answer).toMatchObject({ status: code })
      expect(answer.header("Date")).toMatch(/ GMT$/)
    }
    yield* wire.send("nonsense\r\n")
    expectRefusal(yield* wire.readAnswer(), 400)
  })
)
proves(
  "9110/7.4/https",
  "the known deviation: it is served, and no scheme is claimed to the handler",
  Effect.gen(function* () {
    const { port } = yield* serving(seeing)
    expect(seenIn(yield* ask(port, requestText("GET https://a/b")))).toMatchObject({ url: "/b", authority: "a" })
  })
)

const offer = ["Connection: upgrade", "Upgrade: echo"]
const upgrading = (request: Request) => upgrade(request, { Upgrade: "echo" }, () => Effect.void)

proves(
  "9110/7.6.1/listed",
  "once, beside the protocol",
  Effect.gen(function* () {
    expect(yield* conversation(upgrading, requestText("GET /", offer))).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
  })
)

/** Asks for the upgrade, is refused, and answers all the same. */
const refusedUpgrade: Handler = (request) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(upgrading(request))
    return yield* respond(request, 200, error.reason)
  }).pipe(Effect.catchAll(() => Effect.die("it was upgraded")))

for (const [id, what, text] of [
  ["9110/7.8/offered", "nothing was offered", closing("GET /")],
  ["9110/7.8/offered", "Connection does not name it", closing("GET /", ["Upgrade: echo"])],
  ["9110/7.8/offered", "Connection names what is not there", closing("GET /", ["Connection: upgrade"])],
  ["9110/7.8/offered", "another protocol was offered", closing("GET /", ["Connection: upgrade", "Upgrade: h2c"])],
  [
    "9110/7.8/of-1.0",
    "a handler that would take it cannot",
    "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
  ]
] as const) {
  proves(
    id,
    what,
    Effect.gen(function* () {
      const finals = finalsOf(Buffer.from(yield* conversation(refusedUpgrade, text)))
      expect(finals.map((answer) => [answer.status, answer.text])).toStrictEqual([[200, "NotUpgradable"]])
    })
  )
}
proves(
  "9110/7.8/continue-first",
  "100 asks for the body, 101 follows it",
  Effect.gen(function* () {
    const sent = yield* conversation(
      (request) => Effect.zipRight(request.bytes, upgrading(request)),
      requestText("POST /", [...offer, "Expect: 100-continue", "Content-Length: 2"], "hi")
    )
    expect(sent).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 101 Switching Protocols\r\n/)
  })
)
proves(
  "9110/8.6/length-where-none-may-be",
  "nor of the handler's own",
  Effect.gen(function* () {
    const handler: Handler = (request) => {
      const own = request.path === "/own" ? { "Content-Length": "3" } : {}
      return Effect.gen(function* () {
        expect(yield* refusal(sendInformational(request, 103, { "Content-Length": "3" }))).toMatchObject({
          reason: "HeaderForbidden"
        })
        yield* sendInformational(request, 103, { Link: "</a>" })
        return yield* respond(request, 204, "abc", own)
      })
    }
    for (const path of ["/", "/own"]) {
      expect(yield* conversation(handler, closing(`GET ${path}`))).not.toMatch(/Content-Length/i)
    }
    expect(yield* conversation(upgrading, requestText("GET /", offer))).not.toMatch(/Content-Length/i)
  })
)

proves(
  "9110/8.6/length-of-connect",
  "the head of a tunnel has Date, and the handler's fields",
  Effect.gen(function* () {
    const { port } = yield* serving((request) => tunnel(request, { "X-A": "b" }, () => Effect.void), {
      onConnect: "handle"
    })
    const wire = yield* connect(port)
    yield* wire.send("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")
    expect((yield* wire.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: [^\r\n]+\r\nX-A: b\r\n\r\n$/)
  })
)

const representations: Handler = (request) => {
  switch (request.path) {
    case "/whole":
      return respond(request, 200, "eleven byte", { ETag: '"a"' })
    case "/known":
      return respondStream(request, 200, pieces, { "Content-Length": "8" })
    case "/304":
      return respond(request, 304, "eleven byte")
    case "/304-own":
      return respond(request, 304, "", { "Content-Length": "11" })
    default:
      return respondStream(request, 200, pieces)
  }
}

for (const [id, how] of [
  ["9110/8.6/length-of-head", "the same as GET"],
  ["9110/9.3.2/head", "the next answer follows the head"],
  ["9110/9.3.2/fields-of-head", "the same as GET, but Transfer-Encoding"]
] as const) {
  for (const path of ["/whole", "/known", "/stream"]) {
    proves(
      id,
      `${how}: ${path}`,
      Effect.gen(function* () {
        const { port } = yield* serving(representations)
        const wire = yield* connect(port)
        yield* wire.send(requestText(`HEAD ${path}`) + requestText(`GET ${path}`))
        const head = yield* wire.readAnswer("HEAD")
        const got = yield* wire.readAnswer("GET")
        expect(head.header("Content-Length")).toBe(got.header("Content-Length"))
        const fields = got.fields.filter(([name]) => name !== "Transfer-Encoding" && name !== "Date")
        expect(head.fields.filter(([name]) => name !== "Date")).toStrictEqual(fields)
        expect(got.text).toBe(path === "/whole" ? "eleven byte" : "one, two")
      })
    )
  }
}
proves(
  "9110/8.6/length-of-304",
  "what the handler says, and otherwise none",
  Effect.gen(function* () {
    const { port } = yield* serving(representations)
    expect((yield* ask(port, requestText("GET /304"))).header("Content-Length")).toBe(undefined)
    expect((yield* ask(port, requestText("GET /304-own"))).header("Content-Length")).toBe("11")
  })
)
provesByRows("9110/8.6/overflow", rowsAbout(/§8\.6: a length (beyond|that is 5|of 400)|zeros in front of the length/))
proves(
  "9110/8.6/wrong-length",
  "whole it is refused, streamed it breaks the connection",
  Effect.gen(function* () {
    const sent = yield* conversation(
      (request) =>
        Effect.gen(function* () {
          for (const own of ["2", "4", "+3", "3, 3", "", "0x3"]) {
            yield* refusal(respond(request, 200, "abc", { "Content-Length": own }))
          }
          return yield* respond(request, 200, "abc", { "Content-Length": "3" })
        }),
      closing("GET /")
    )
    expect(finalsOf(Buffer.from(sent)).map((answer) => answer.text)).toStrictEqual(["abc"])
    for (const own of ["4", "12"]) {
      const { port } = yield* serving((request) => respondStream(request, 200, pieces, { "Content-Length": own }))
      const wire = yield* connect(port)
      yield* wire.send(requestText("GET /") + requestText("GET /"))
      const text = (yield* wire.readToEnd).toString()
      expect(text.slice(text.indexOf("\r\n\r\n") + 4).length).toBeLessThan(Number(own))
    }
  })
)
provesByRows("9110/9.1/unknown-method", rowsAbout(/RFC 9110 §9: (an unknown|methods are|a method that)/))
provesByRows("9110/9.3.6/port", rowsAbout(/CONNECT without a port|CONNECT with an empty port|CONNECT without a host/))

const patient = (line: string, body: string): string =>
  requestText(line, ["Expect: 100-continue", `Content-Length: ${body.length}`])
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

provesByRows("9110/10.1.1/of-1.0", rowsAbout(/an expectation in HTTP\/1\.0/))
for (const id of ["9110/10.1.1/answered", "9110/10.1.1/not-awaited", "9110/10.1.1/final"] as const) {
  proves(
    id,
    "100 before a byte of content has come, and the answer behind it",
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const wire = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* wire.send(patient("PUT /", "content"))
        expect(yield* wire.readAnswer()).toMatchObject({ status: 100, fields: [] })
        yield* wire.send("content")
        expect(yield* wire.readAnswer()).toMatchObject({ status: 200, text: "content" })
      }
    })
  )
}
for (const id of ["9110/10.1.1/answered", "9110/10.1.1/close"] as const) {
  proves(
    id,
    "a final status at once, with close, when nobody asks for the content",
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 403))
      const wire = yield* connect(port)
      yield* wire.send(patient("PUT /", "content"))
      const [answer, ...rest] = finalsOf(yield* wire.readToEnd)
      expect([answer?.status, answer?.header("Connection"), rest]).toStrictEqual([403, "close", []])
    })
  )
}
proves(
  "9110/10.1.1/final",
  "of a body that cannot be read too",
  Effect.gen(function* () {
    const { port } = yield* serving(echo)
    const wire = yield* connect(port)
    yield* wire.send(requestText("PUT /", ["Expect: 100-continue", "Transfer-Encoding: chunked"]))
    expect((yield* wire.readAnswer()).status).toBe(100)
    yield* wire.send("nonsense\r\n")
    expectRefusal(yield* wire.readAnswer(), 400)
  })
)
proves(
  "9110/15.2/of-1.0",
  "neither 100, nor 101, nor what a handler sends",
  Effect.gen(function* () {
    const handler: Handler = (request) =>
      Effect.gen(function* () {
        yield* sendInformational(request, 103, { Link: "</a>" })
        yield* request.bytes
        yield* refusal(upgrading(request))
        return yield* respond(request, 200)
      })
    const fields = "Expect: 100-continue\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi"
    expect(yield* conversation(handler, `POST / HTTP/1.0\r\n${fields}`)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })
)
proves(
  "9110/15.3.6/content",
  "whole and streamed",
  Effect.gen(function* () {
    for (const handler of [
      (request) => respond(request, 205, "abc"),
      (request) => respondStream(request, 205, pieces)
    ] as ReadonlyArray<Handler>) {
      expect(yield* conversation(handler, closing("GET /"))).toMatch(/\r\nContent-Length: 0\r\n\r\n$/)
    }
  })
)
provesInTestTime(
  "9110/15.5.9/close",
  "of a head and of a body",
  Effect.gen(function* () {
    const { connect } = yield* servingInMemory(echo)
    for (const text of ["GET", withBody("POST /", "abc").slice(0, -1)]) {
      const connection = yield* connect
      connection.send(text)
      yield* advance(30_000)
      expectRefusal(finalsOf(Buffer.from(connection.written))[0], 408)
      expect(yield* connection.ended).toBe("end")
    }
  })
)
proves(
  "9110/15.6.6/why",
  "in a line of text",
  Effect.gen(function* () {
    const { port } = yield* serving(echo)
    const answer = yield* ask(port, "GET / HTTP/2.0\r\n\r\n")
    expectRefusal(answer, 505)
    expect(answer.text).toBe("505 HTTP Version Not Supported: the major version of HTTP is not supported\n")
  })
)
provesByRows("9110/10.1.1/answered", [
  ...rowsAbout(/§10\.1\.1/),
  refuses("another expectation behind an empty member", requestText("GET /", ["Expect: , more"]), ["Expectation", 417])
])
otherRows("RFC 9110: other rows", /^RFC (9110|3986)/)
