import { describe, expect, it } from "vitest"
import * as HttpVersion from "../src/HttpVersion.js"

describe("make", () => {
  it("writes a version as it is sent", () => {
    expect(HttpVersion.make(1, 9)).toStrictEqual({ original: "HTTP/1.9", major: 1, minor: 9 })
  })
})

describe("the two constants", () => {
  it("are HTTP/1.1 and HTTP/1.0", () => {
    expect(HttpVersion.HttpVer11).toStrictEqual({ original: "HTTP/1.1", major: 1, minor: 1 })
    expect(HttpVersion.HttpVer10).toStrictEqual({ original: "HTTP/1.0", major: 1, minor: 0 })
  })
})

describe("equals", () => {
  it("compares numbers, not texts", () => {
    expect(HttpVersion.equals({ original: "http/1.1", major: 1, minor: 1 }, HttpVersion.HttpVer11)).toBe(true)
    expect(HttpVersion.equals(HttpVersion.HttpVer10, HttpVersion.HttpVer11)).toBe(false)
    expect(HttpVersion.equals(HttpVersion.make(2, 1), HttpVersion.HttpVer11)).toBe(false)
    expect(HttpVersion.equals(HttpVersion.make(0, 1), HttpVersion.make(1, 0))).toBe(false)
  })
})

describe("httpcore's other constants", () => {
  it("are the line end and the limit of header fields", () => {
    expect(HttpVersion.httpNewLine).toBe("\r\n")
    expect(HttpVersion.headerLimit).toBe(10_000)
  })
})
