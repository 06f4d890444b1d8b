/** A connection from its first byte to its end, and what most tests send and receive on it. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ValueError } from "../../../src/Errors.js"
import { type Handler, upgrade } from "../../../src/Response.js"
import { serving } from "../../server/harness.js"
import { connect, requestText } from "../../support/rawClient.js"

/** All that a connection brings for these bytes, until the server ends it. */
export const conversation = (handler: Handler, text: string): Effect.Effect<string> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { port } = yield* serving(handler)
      const client = yield* connect(port)
      yield* client.send(text)
      return (yield* client.readToEnd).toString("latin1")
    })
  )

/** A request that is the last of its connection. */
export const closing = (line: string, fields: ReadonlyArray<string> = [], body = ""): string =>
  requestText(line, ["Connection: close", ...fields], body)

/** Eight bytes of content, in two pieces. */
export const chunks = Stream.make("one, ", "two").pipe(Stream.encodeText)

/** The fields of a request that offers an upgrade, and a handler that takes it. */
export const offer = ["Connection: upgrade", "Upgrade: echo"]
export const upgrading: Handler<ValueError> = (request) => upgrade(request, { Upgrade: "echo" }, () => Effect.void)
