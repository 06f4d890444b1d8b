import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Errors from "../src/Errors.js"

/** Every reason there is, with its status: a new one needs a row, or tsc reports it. */
const statuses: { readonly [reason in Errors.ValueErrorReason]: number } = {
  RequestLine: 400,
  Target: 400,
  Host: 400,
  HeaderField: 400,
  ContentLength: 400,
  TransferEncoding: 400,
  Chunk: 400,
  ChunkExtensions: 400,
  Trailer: 400,
  IncompleteRequest: 400,
  Json: 400,
  Timeout: 408,
  BodyTooLarge: 413,
  TargetTooLong: 414,
  Expectation: 417,
  Scheme: 421,
  HeadersTooLarge: 431,
  TrailersTooLarge: 431,
  MethodUnknown: 501,
  CodingUnknown: 501,
  BodyBudget: 503,
  Version: 505,
  HeaderName: 500,
  HeaderValue: 500,
  HeaderForbidden: 500,
  StatusCode: 500,
  ContentTooLong: 500,
  ContentTooShort: 500,
  AlreadyResponded: 500,
  BodyConsumed: 500,
  NotUpgradable: 500,
  NotOffered: 400,
  Port: 500,
  Address: 500,
  AlreadyListening: 500,
  Setting: 500,
  Option: 500
}

describe("ValueError", () => {
  it.each(Object.entries(statuses) as ReadonlyArray<[Errors.ValueErrorReason, number]>)(
    "%s gets the response %i",
    (reason, status) => {
      const error = new Errors.ValueError({ reason })
      expect([error._tag, error.reason, error.status, error.actual]).toStrictEqual(["ValueError", reason, status, ""])
      // A sentence: without what was seen it has nothing hanging from it.
      expect(error.message).toMatch(/^\S.*[a-zA-Z0-9)`]$/)
    }
  )

  it("states the rule and the actual value", () => {
    const error = new Errors.ValueError({ reason: "ContentLength", actual: "1,2" })
    expect(error.message).toBe("Content-Length is not a single decimal number: 1,2")
    expect(String(error)).toContain("ValueError: Content-Length is not a single decimal number: 1,2")
  })

  it("quotes 80 characters at most", () => {
    const sawOf = (actual: string): string => new Errors.ValueError({ reason: "Target", actual }).actual
    expect(sawOf("a".repeat(80))).toBe("a".repeat(80))
    expect(sawOf("a".repeat(81))).toBe(`${"a".repeat(80)}…`)
  })

  it("stays one line in a log", () => {
    const error = new Errors.ValueError({ reason: "HeaderField", actual: "a\r\nb\0\x1b[2J\t" })
    expect(error.actual).toBe("a\\r\\nb\\u0000\\u001b[2J\\t")
    expect(error.message).not.toMatch(/[\x00-\x1f]/)
  })

  it("takes what was seen as optional", () => {
    expect(new Errors.ValueError({ reason: "Host", actual: undefined }).message).toBe(
      new Errors.ValueError({ reason: "Host" }).message
    )
  })
})

describe("OSError", () => {
  it("states the system call and its error code", () => {
    const error = new Errors.OSError({ code: "EADDRINUSE", syscall: "listen" })
    expect([error._tag, error.code, error.syscall, error.message]).toStrictEqual([
      "OSError",
      "EADDRINUSE",
      "listen",
      "listen: EADDRINUSE"
    ])
  })

  it("has the message of its cause, when that is an error", () => {
    const cause = new Error("address in use")
    const error = new Errors.OSError({ code: "EADDRINUSE", syscall: "listen", cause })
    expect(error.message).toBe("listen: EADDRINUSE (address in use)")
    expect(error.cause).toBe(cause)
    expect(new Errors.OSError({ code: "E", syscall: "s", cause: "text" }).message).toBe("s: E")
  })
})

describe("KeyError", () => {
  it("names the missing header", () => {
    const error = new Errors.KeyError({ name: "authorization", status: 400 })
    expect([error._tag, error.name, error.status, error.message]).toStrictEqual([
      "KeyError",
      "authorization",
      400,
      "no such header: authorization"
    ])
  })

  it("cuts a name short and keeps it on one line, too", () => {
    expect(new Errors.KeyError({ name: "a\r\nb", status: 500 }).message).toBe("no such header: a\\r\\nb")
    expect(new Errors.KeyError({ name: "a".repeat(100), status: 500 }).message).toBe(
      `no such header: ${"a".repeat(80)}…`
    )
  })
})

describe("all three", () => {
  it.effect("fail an effect when they are yielded, and are caught by their tags", () =>
    Effect.gen(function* () {
      const failing = (error: Errors.ValueError | Errors.OSError | Errors.KeyError): Effect.Effect<string> =>
        Effect.gen(function* () {
          return yield* error
        }).pipe(
          Effect.catchTags({
            ValueError: (each) => Effect.succeed(each.reason),
            OSError: (each) => Effect.succeed(each.code),
            KeyError: (each) => Effect.succeed(each.name)
          })
        )
      expect(yield* failing(new Errors.ValueError({ reason: "Json" }))).toBe("Json")
      expect(yield* failing(new Errors.OSError({ code: "EACCES", syscall: "bind" }))).toBe("EACCES")
      expect(yield* failing(new Errors.KeyError({ name: "a", status: 400 }))).toBe("a")
    })
  )

  it("of them, a handler may fail with two without more", () => {
    const responded: ReadonlyArray<Errors.RespondableError> = [
      new Errors.ValueError({ reason: "Json" }),
      new Errors.KeyError({ name: "a", status: 400 })
    ]
    expect(responded.map(({ status }) => status)).toStrictEqual([400, 400])
    const isOther: Errors.OSError extends Errors.RespondableError ? true : false = false
    expect(isOther).toBe(false)
  })
})
