import { describe, expect, it } from "vitest"
import * as HttpMethod from "../src/HttpMethod.js"

describe("all", () => {
  it("has the nine methods in httpcore's order", () => {
    expect(HttpMethod.all).toStrictEqual([
      "HEAD",
      "GET",
      "POST",
      "PUT",
      "DELETE",
      "TRACE",
      "OPTIONS",
      "CONNECT",
      "PATCH"
    ])
  })
})

describe("isHttpMethod", () => {
  it("knows each of the nine, exactly as written", () => {
    expect(HttpMethod.all.every(HttpMethod.isHttpMethod)).toBe(true)
    for (const text of ["get", "Get", "GET ", "", "GETS", "GE", "PRI", "LINK", "constructor", "QUERY"]) {
      expect(HttpMethod.isHttpMethod(text)).toBe(false)
    }
  })
})

describe("contains", () => {
  it("finds the method a text names in any set of them", () => {
    expect(HttpMethod.contains(["GET", "HEAD"], "HEAD")).toBe(true)
    expect(HttpMethod.contains(new Set(["PUT"] as const), "PUT")).toBe(true)
    expect(HttpMethod.contains(["GET", "HEAD"], "POST")).toBe(false)
    expect(HttpMethod.contains(["GET"], "get")).toBe(false)
    expect(HttpMethod.contains([], "GET")).toBe(false)
  })
})

describe("what methods promise", () => {
  it.each<readonly [HttpMethod.HttpMethod, safe: boolean, idempotent: boolean]>([
    ["HEAD", true, true],
    ["GET", true, true],
    ["POST", false, false],
    ["PUT", false, true],
    ["DELETE", false, true],
    ["TRACE", true, true],
    ["OPTIONS", true, true],
    ["CONNECT", false, false],
    ["PATCH", false, false]
  ])("RFC 9110 §9.2: %s is safe: %s, idempotent: %s", (method, safe, idempotent) => {
    expect([HttpMethod.isSafe(method), HttpMethod.isIdempotent(method)]).toStrictEqual([safe, idempotent])
  })
})
