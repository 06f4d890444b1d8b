import { describe, expect, it } from "vitest"
import * as Address from "../src/Address.js"

describe("tcp", () => {
  it("makes an address", () => {
    expect(Address.tcp("127.0.0.1", 8080, "IPv4")).toStrictEqual({
      _tag: "TcpAddress",
      hostname: "127.0.0.1",
      port: 8080,
      family: "IPv4"
    })
  })
})

describe("toUrl", () => {
  it.each<readonly [string, Address.Domain, string]>([
    ["127.0.0.1", "IPv4", "http://127.0.0.1:8080"],
    ["192.0.2.7", "IPv4", "http://192.0.2.7:8080"],
    ["0.0.0.0", "IPv4", "http://127.0.0.1:8080"],
    ["::", "IPv6", "http://[::1]:8080"],
    ["::1", "IPv6", "http://[::1]:8080"],
    ["2001:db8::1", "IPv6", "http://[2001:db8::1]:8080"],
    ["::ffff:127.0.0.1", "IPv6", "http://[::ffff:127.0.0.1]:8080"]
  ])("reaches %s of %s at %s", (hostname, family, url) => {
    expect(Address.toUrl(Address.tcp(hostname, 8080, family))).toBe(url)
    expect(new URL(url).port).toBe("8080")
  })
})
