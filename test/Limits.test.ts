import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"
import * as Limits from "../src/Limits.js"

describe("defaults", () => {
  it("are the numbers that the README promises", () => {
    const {
      bodyTimeout,
      bodyTotalTimeout,
      bufferedBodyTimeout,
      halfCloseTimeout,
      headerTimeout,
      inactivityTimeout,
      keepAliveTimeout,
      lingerTimeout,
      lingerTotalTimeout,
      writeTimeout,
      ...sizes
    } = Limits.defaults
    expect(sizes).toStrictEqual({
      maxRequestLine: 8192,
      maxHeaderLine: 16384,
      maxHeaderSection: 32768,
      maxHeaders: 100,
      maxBody: 8388608,
      maxChunkExtensions: 16384,
      maxTrailerSection: 8192,
      maxTrailers: 32,
      maxDiscardedBody: 262144,
      maxReadAhead: 65536,
      maxBufferedBodies: 134217728,
      maxRequestsPerConnection: Number.POSITIVE_INFINITY
    })
    expect(
      [
        headerTimeout,
        bodyTimeout,
        bodyTotalTimeout,
        bufferedBodyTimeout,
        halfCloseTimeout,
        keepAliveTimeout,
        writeTimeout,
        lingerTimeout,
        inactivityTimeout,
        lingerTotalTimeout
      ].map(Duration.toSeconds)
    ).toStrictEqual([10, 30, 300, 10, 30, 75, 30, 5, Number.POSITIVE_INFINITY, 30])
  })
})

describe("nodeHttp", () => {
  it("has the numbers that the README promises, and the others of the defaults", () => {
    const differing = Object.entries(Limits.nodeHttp).filter(
      ([name, limit]) => limit !== Limits.defaults[name as keyof Limits.Limits]
    )
    const numbers = differing.map(([name, limit]) => [
      name,
      Duration.isDuration(limit) ? Duration.toSeconds(limit) : limit
    ])
    expect(Object.fromEntries(numbers)).toStrictEqual({
      maxRequestLine: 32768,
      maxHeaderLine: Number.POSITIVE_INFINITY,
      maxHeaderSection: 65536,
      maxHeaders: 2000,
      maxBody: Number.POSITIVE_INFINITY,
      maxChunkExtensions: 16777216,
      maxTrailerSection: 65536,
      maxTrailers: 2000,
      headerTimeout: 60,
      bodyTimeout: 300,
      bodyTotalTimeout: 300,
      writeTimeout: 300
    })
  })
})

describe("validate", () => {
  it.each<readonly [Limits.Options, string]>([
    [{ maxHeaders: 1.5 }, "maxHeaders: 1.5"],
    [{ maxBody: -1 }, "maxBody: -1"],
    [{ maxBody: Number.NaN }, "maxBody: NaN"],
    [{ keepAliveTimeout: -1 }, "keepAliveTimeout: -1"],
    [{ keepAliveTimeout: "-1 seconds" }, "keepAliveTimeout: -1 seconds"],
    [{ headerTimeout: Number.NaN }, "headerTimeout: NaN"],
    // A misspelt name, as a configuration may have it: silence would be no limit.
    [{ maxHeader: 10 } as Limits.Options, "maxHeader: unknown option"]
  ])("names the first invalid limit: %o", (options, actual) => {
    const error = Either.getOrThrow(Either.flip(Limits.validate(options)))
    expect([error._tag, error.reason, error.actual]).toStrictEqual(["ValueError", "Option", actual])
  })

  it("gives the limits, completed with the defaults", () => {
    expect(Limits.validate()).toStrictEqual(Either.right(Limits.defaults))
    expect(Limits.validate({})).toStrictEqual(Either.right(Limits.defaults))
    const options = { maxDiscardedBody: 0, maxBody: Number.POSITIVE_INFINITY, writeTimeout: "1 second" } as const
    expect(Limits.validate(options)).toStrictEqual(Either.right(Limits.make(options)))
  })
})

describe("make", () => {
  it("gives the defaults when nothing is given", () => {
    expect(Limits.make()).toStrictEqual(Limits.defaults)
    expect(Limits.make({})).toStrictEqual(Limits.defaults)
    expect(Limits.make({ maxBody: undefined, bodyTimeout: undefined })).toStrictEqual(Limits.defaults)
  })

  it("changes what is given, and nothing else", () => {
    expect(Limits.make({ maxBody: 1, maxHeaders: 0 })).toStrictEqual({ ...Limits.defaults, maxBody: 1, maxHeaders: 0 })
    expect(Limits.defaults.maxBody).toBe(8388608)
  })

  it.each(["headerTimeout", "bodyTimeout", "keepAliveTimeout", "writeTimeout", "lingerTimeout"] as const)(
    "reads %s in any form",
    (name) => {
      for (const given of ["5 seconds", 5000, Duration.seconds(5), [5, 0]] as const) {
        const limits = Limits.make({ [name]: given })
        expect(Duration.isDuration(limits[name])).toBe(true)
        expect(Duration.toMillis(limits[name])).toBe(5000)
      }
    }
  )

  it("leaves numbers numbers", () => {
    expect(Limits.make({ maxDiscardedBody: 5000 }).maxDiscardedBody).toBe(5000)
  })

  it("takes nothing that is no limit", () => {
    const options: Limits.Options & { readonly port: number } = { maxBody: 1, port: 80 }
    expect(Limits.make(options)).toStrictEqual({ ...Limits.defaults, maxBody: 1 })
  })
})
