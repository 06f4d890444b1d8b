import { describe, expect, it } from "vitest"
import * as HttpCode from "../src/HttpCode.js"

/** The registry of IANA, 1xx to 5xx, without what is unused or temporary; 305 and 418 as httpcore has them. */
const registry: ReadonlyArray<readonly [number, string]> = [
  [100, "Continue"],
  [101, "Switching Protocols"],
  [102, "Processing"],
  [103, "Early Hints"],
  [200, "OK"],
  [201, "Created"],
  [202, "Accepted"],
  [203, "Non-Authoritative Information"],
  [204, "No Content"],
  [205, "Reset Content"],
  [206, "Partial Content"],
  [207, "Multi-Status"],
  [208, "Already Reported"],
  [226, "IM Used"],
  [300, "Multiple Choices"],
  [301, "Moved Permanently"],
  [302, "Found"],
  [303, "See Other"],
  [304, "Not Modified"],
  [305, "Use Proxy"],
  [307, "Temporary Redirect"],
  [308, "Permanent Redirect"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [402, "Payment Required"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [406, "Not Acceptable"],
  [407, "Proxy Authentication Required"],
  [408, "Request Timeout"],
  [409, "Conflict"],
  [410, "Gone"],
  [411, "Length Required"],
  [412, "Precondition Failed"],
  [413, "Content Too Large"],
  [414, "URI Too Long"],
  [415, "Unsupported Media Type"],
  [416, "Range Not Satisfiable"],
  [417, "Expectation Failed"],
  [418, "I'm a teapot"],
  [421, "Misdirected Request"],
  [422, "Unprocessable Content"],
  [423, "Locked"],
  [424, "Failed Dependency"],
  [425, "Too Early"],
  [426, "Upgrade Required"],
  [428, "Precondition Required"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [451, "Unavailable For Legal Reasons"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Gateway Timeout"],
  [505, "HTTP Version Not Supported"],
  [506, "Variant Also Negotiates"],
  [507, "Insufficient Storage"],
  [508, "Loop Detected"],
  [510, "Not Extended"],
  [511, "Network Authentication Required"]
]

const codes = registry.map(([code]) => code)

describe("codes with a name", () => {
  it("are all of the registry, in order", () => {
    expect(HttpCode.all).toStrictEqual(codes)
  })

  it("are constants, each equal to its name", () => {
    const constants = Object.entries(HttpCode).filter(([name]) => /^Http\d+$/.test(name))
    expect(Object.fromEntries(constants)).toStrictEqual(Object.fromEntries(codes.map((code) => [`Http${code}`, code])))
  })

  it.each(registry)("%i is %s", (code, phrase) => {
    expect(HttpCode.phrase(code)).toBe(phrase)
    expect(HttpCode.toString(code)).toBe(`${code} ${phrase}`)
  })
})

describe("codes without a name", () => {
  it.each([199, 299, 306, 419, 599, 600, 0])("%i is its number", (code) => {
    expect(HttpCode.phrase(code)).toBe(undefined)
    expect(HttpCode.toString(code)).toBe(String(code))
  })
})

describe("the classes", () => {
  it("have their hundred codes each, and no other", () => {
    const classes = [HttpCode.is1xx, HttpCode.is2xx, HttpCode.is3xx, HttpCode.is4xx, HttpCode.is5xx]
    for (let code = 0; code <= 700; code++) {
      expect(classes.map((is) => is(code))).toStrictEqual(
        [1, 2, 3, 4, 5].map((each) => Math.floor(code / 100) === each)
      )
    }
  })
})

describe("matches", () => {
  it("goes by the first three characters, as httpcore does", () => {
    expect(HttpCode.matches("404 Not Found", HttpCode.Http404)).toBe(true)
    expect(HttpCode.matches("404 Nothing here", 404)).toBe(true)
    expect(HttpCode.matches("404", 404)).toBe(true)
    expect(HttpCode.matches("405 Not Found", 404)).toBe(false)
    expect(HttpCode.matches(" 404", 404)).toBe(false)
    expect(HttpCode.matches("40", 404)).toBe(false)
    expect(HttpCode.matches("", 404)).toBe(false)
  })
})
