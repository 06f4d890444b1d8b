/** RFC 9110 §7: routing, connections, and upgrades. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ValueError } from "../../../src/Errors.js"
import { type Handler, respond, sendInformational, tunnel, upgrade } from "../../../src/Response.js"
import { refusal, serving } from "../../server/harness.js"
import { ask, connect, requestText } from "../../support/rawClient.js"
import { otherRows, proves, provesByRows, provesOfEach, rowsById } from "../rfc9112/proofs.js"
import { finalsOf, looking, seenIn } from "../rfc9112/rows.js"
import { allOf, replying, type Subject, toldBy } from "../subjects.js"
import { closing, conversation, offer, upgrading } from "./conversation.js"

provesByRows(
  "9110/7.1/forms",
  rowsById("get-asterisk", "get-authority-form", "connect-origin-form", "connect-asterisk", "connect-absolute-form")
)
provesByRows("9110/7.4/scheme", rowsById("another-scheme", "scheme-without-authority"))
for (const target of ["https://a/b", "HTTPS://a/b", "https://a"]) {
  provesOfEach("9110/7.4/https", `${target} without TLS gets 421, and the connection closes`, (subject) =>
    Effect.gen(function* () {
      const client = yield* connect(yield* subject.serve(looking))
      yield* client.send(requestText(`GET ${target}`))
      expect((yield* client.readResponse()).status).toBe(421)
      expect(yield* client.closedWith).toBe("FIN")
    })
  )
}
provesOfEach("9110/7.4/https", "from a trusted gateway that reports https, it is served", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(looking, { trustedProxies: ["loopback"] })
    const text = requestText("GET https://a/b", ["X-Forwarded-Proto: https"])
    expect(seenIn(yield* ask(port, text))).toMatchObject({ url: "/b", authority: "a" })
  })
)

/** The offer of a WebSocket, which both subjects can take. */
const webSocket = [
  "Connection: keep-alive, Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
]

/** What is said of a connection that is handed over: all of the head, since frames follow it. */
const switched = (subject: Subject, text: string) =>
  Effect.gen(function* () {
    const client = yield* connect(yield* subject.serveUpgrades)
    yield* client.send(text)
    const head = yield* client.readUntil((seen) => / 101 [\s\S]*\r\n\r\n/.test(seen))
    return head.slice(0, head.indexOf("\r\n\r\n", head.indexOf(" 101 ")) + 4)
  })

for (const id of ["9110/7.6.1/listed", "9110/7.8/named", "9110/7.8/protocol", "9110/15.2.2/protocol"] as const) {
  provesOfEach(id, "a 101 names the protocol in Upgrade, and Upgrade in Connection, once", (subject) =>
    Effect.gen(function* () {
      const lines = (yield* switched(subject, requestText("GET /", webSocket))).split("\r\n")
      expect(lines[0]).toBe("HTTP/1.1 101 Switching Protocols")
      expect(lines.filter((line) => /^(connection|upgrade):/i.test(line)).sort()).toStrictEqual([
        "Connection: Upgrade",
        "Upgrade: websocket"
      ])
    })
  )
}
provesOfEach("9110/7.8/case-blind", "what was offered in one case is taken in another", (subject) =>
  Effect.gen(function* () {
    const offers = webSocket.map((line) => line.replace("websocket", "WebSocket"))
    expect(yield* switched(subject, requestText("GET /", offers))).toMatch(/^HTTP\/1\.1 101 /)
  })
)
for (const [id, what, text] of [
  ["9110/7.8/offered", "Connection does not name it", closing("GET /", webSocket.slice(1))],
  ["9110/7.8/offered", "another protocol was offered", closing("GET /", ["Connection: upgrade", "Upgrade: h2c"])],
  [
    "9110/7.8/of-1.0",
    "a handler that would take it cannot",
    `GET / HTTP/1.0\r\n${["Connection: Upgrade", ...webSocket.slice(1)].map((line) => `${line}\r\n`).join("")}\r\n`
  ]
] as const) {
  provesOfEach(id, `${what}: there is no 101`, (subject) =>
    Effect.gen(function* () {
      const sent = yield* allOf(yield* subject.serveUpgrades, text)
      expect(finalsOf(Buffer.from(sent)).map(({ status }) => status >= 200)).toStrictEqual([true])
    })
  )
}
provesOfEach(
  "9110/7.8/continue-first",
  "100 asks for the body of an offer that is not taken, 101 is not sent before",
  (subject) =>
    Effect.gen(function* () {
      const expecting = requestText("POST /", ["Connection: close", "Expect: 100-continue", "Content-Length: 2"], "hi")
      expect(yield* allOf(yield* subject.serveUpgrades, expecting)).toMatch(
        /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/
      )
    })
)

for (const id of ["9110/7.6.1/listed", "9110/7.8/named"] as const) {
  proves(
    id,
    "once, in a 101",
    Effect.gen(function* () {
      expect(yield* conversation(upgrading, requestText("GET /", offer))).toBe(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
      )
    })
  )
  for (const [status, fields] of [
    [426, [["Upgrade", "echo"]]],
    [
      426,
      [
        ["Connection", "close, Upgrade"],
        ["Upgrade", "echo"]
      ]
    ],
    [
      200,
      [
        ["X-A", "b"],
        ["upgrade", "echo"],
        ["Connection", "x"]
      ]
    ]
  ] as const) {
    provesOfEach(id, `in a ${status} with ${fields.map(([name]) => name).join(", ")}`, (subject) =>
      Effect.gen(function* () {
        const sent = yield* toldBy(subject, replying(status, "", Object.fromEntries(fields)), closing("GET /"))
        const [response] = finalsOf(Buffer.from(sent))
        const options = response?.header("Connection")?.toLowerCase().split(", ") ?? []
        expect([response?.status, response?.header("Upgrade")]).toStrictEqual([status, "echo"])
        expect(options.filter((option) => option === "upgrade")).toHaveLength(1)
      })
    )
  }
}
for (const id of ["9110/7.6.1/listed", "9110/7.8/named"] as const) {
  proves(
    id,
    "where Connection may not be given, Upgrade may not either: 103, and the head of a tunnel",
    Effect.gen(function* () {
      const handler: Handler = (request) =>
        Effect.gen(function* () {
          const refused =
            request.method === "CONNECT"
              ? yield* refusal(tunnel(request, { Upgrade: "x" }, () => Effect.void))
              : yield* refusal(sendInformational(request, 103, { Upgrade: "x" }))
          expect(refused).toMatchObject({ _tag: "ValueError", reason: "HeaderForbidden", actual: "Upgrade" })
          return yield* respond(request, 403)
        })
      const { port } = yield* serving(handler, { connectMethod: "handle" })
      for (const line of ["GET /", "CONNECT a:1"]) {
        const client = yield* connect(port)
        yield* client.send(requestText(line, ["Connection: close"]))
        expect(finalsOf(yield* client.readToEnd).map(({ status }) => status)).toStrictEqual([403])
      }
    })
  )
}
proves(
  "9110/7.8/case-blind",
  "what was offered in one case is taken in another",
  Effect.gen(function* () {
    const sent = yield* conversation(
      (request) => upgrade(request, { Upgrade: "WebSocket" }, () => Effect.void),
      requestText("GET /", ["Connection: upgrade", "Upgrade: h2c, websocket"])
    )
    expect(sent).toMatch(/^HTTP\/1\.1 101 /)
  })
)
for (const id of ["9110/7.8/protocol", "9110/15.2.2/protocol"] as const) {
  proves(
    id,
    "a handler that does not say which is rejected, and one that does is not",
    Effect.gen(function* () {
      const sent = yield* conversation(
        (request) =>
          Effect.gen(function* () {
            for (const headers of [{}, { Upgrade: "" }, { Upgrade: " , " }, { Connection: "Upgrade" }]) {
              const error = yield* refusal(upgrade(request, headers, () => Effect.void))
              expect(error).toMatchObject({ _tag: "ValueError", reason: "HeaderValue" })
            }
            return yield* upgrading(request)
          }),
        requestText("GET /", offer)
      )
      expect(sent).toMatch(/^HTTP\/1\.1 101 .*\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n$/)
    })
  )
}

/** Requests the upgrade, is rejected, and responds all the same. */
const refusedUpgrade: Handler<ValueError> = (request) =>
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
      expect(finals.map((response) => [response.status, response.text])).toStrictEqual([[200, "NotOffered"]])
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
otherRows("RFC 9110 §7: other offers", [
  "upgrade-offer",
  "upgrade-without-option",
  "option-without-upgrade",
  "upgrade-without-protocol",
  "upgrade-offer-several-protocols",
  "malformed-upgrade-without-option",
  "http-1-0-cannot-offer",
  "upgrade-offer-body",
  "rejected-connection-options",
  "options-http-1-0-not-tokens",
  "rejected-upgrades"
])
