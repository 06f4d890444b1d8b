/**
 * `X-Forwarded-*` and `Forwarded` of trusted proxies: what a request shows of its client, its host and its scheme.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Option, type Scope } from "effect"
import { type Address, HttpHeaders, type Request, Response, Server } from "effect-asynchttpserver"
import * as HttpServer from "effect-asynchttpserver/HttpServer"
import { tcp, unix } from "../../src/Address.js"
import { type ForwardedHeader, originOf } from "../../src/internal/message/forwarded.js"
import { TrustedNetworks } from "../../src/internal/net/trustedNetworks.js"
import { quiet } from "../server/harness.js"
import { ask, requestText } from "../support/rawClient.js"

type Fields = ReadonlyArray<readonly [name: string, value: string]>

/** The origin of a request over a connection from a peer, with Host `site.example`. */
const originFrom =
  (
    peer: string,
    header: ForwardedHeader,
    trusted: ReadonlyArray<string> = ["private", "loopback", "2001:db8:1::/48"]
  ) =>
  (fields: Fields): string => {
    const { includes, includesPeer } = new TrustedNetworks(trusted)
    const remote: Option.Option<Address.Address> = Option.some(tcp(peer, 1, peer.includes(":") ? "IPv6" : "IPv4"))
    const direct = { remoteAddress: Option.some(peer), host: "site.example", scheme: "http" } as const
    const connection = { local: Option.some(tcp("10.0.0.9", 80, "IPv4")), remote }
    const { host, remoteAddress, scheme } = originOf(fields.flat(), connection, direct, {
      header,
      includes,
      includesPeer
    })
    return `${Option.getOrElse(remoteAddress, () => "none")} ${scheme}://${host}`
  }

describe("trusted networks", () => {
  it.each([
    ["loopback", "127.0.0.1", true],
    ["loopback", "127.255.0.1", true],
    ["loopback", "::1", true],
    ["loopback", "10.0.0.1", false],
    ["private", "10.255.0.1", true],
    ["private", "172.16.0.1", true],
    ["private", "172.32.0.1", false],
    ["private", "192.168.3.4", true],
    ["private", "fd00::1", true],
    ["private", "fe80::1", false],
    ["private", "127.0.0.1", false],
    ["192.0.2.0/24", "192.0.2.255", true],
    ["192.0.2.0/24", "192.0.3.0", false],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.8", false],
    ["192.0.2.7/8", "192.9.9.9", true],
    ["0.0.0.0/0", "198.51.100.1", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "2001:db8::1", true],
    ["fe80::/10", "fe80::1%eth0", true],
    ["2001:DB8::/32", "2001:db8:ffff::1", true],
    ["unix", "127.0.0.1", false],
    ["192.0.2.0/24", "unknown", false]
  ])("%s: %s is included: %s", (network, address, isIncluded) => {
    expect(new TrustedNetworks([network]).includes(address)).toBe(isIncluded)
  })

  it.each([
    ["unix", true],
    ["loopback", false]
  ])("%s: the peer of a Unix domain socket is included: %s", (name, isIncluded) => {
    const networks = new TrustedNetworks([name])
    expect(networks.includesPeer({ local: Option.some(unix("/s")), remote: Option.none() })).toBe(isIncluded)
    // A path that a proxy reports is that of another machine's socket, perhaps.
    expect(networks.includesPeer({ local: Option.none(), remote: Option.some(unix("/s")) })).toBe(false)
    expect(networks.includesPeer({ local: Option.none(), remote: Option.none() })).toBe(false)
  })
})

describe("X-Forwarded-*", () => {
  const from = originFrom("10.0.0.1", "x-forwarded")
  const client = "203.0.113.9 http://site.example"

  it.each([
    ["none", [], "10.0.0.1 http://site.example"],
    ["a client", [["X-Forwarded-For", "203.0.113.9"]], client],
    ["a name in another case", [["x-FORWARDED-for", "203.0.113.9"]], client],
    ["a port", [["X-Forwarded-For", "203.0.113.9:4711"]], client],
    ["white space", [["X-Forwarded-For", " \t203.0.113.9 ,\t10.0.0.2 "]], client],
    ["several proxies", [["X-Forwarded-For", "203.0.113.9, 10.0.0.3, 10.0.0.2"]], client],
    ["what the client has sent", [["X-Forwarded-For", "6.6.6.6, 203.0.113.9"]], client],
    ["what the client has sent, as a proxy", [["X-Forwarded-For", "6.6.6.6, 10.6.6.6, 203.0.113.9, 10.0.0.2"]], client],
    [
      "several lines",
      [
        ["X-Forwarded-For", "6.6.6.6"],
        ["Via", "x"],
        ["X-Forwarded-For", "203.0.113.9"],
        ["X-Forwarded-For", "10.0.0.2"]
      ],
      client
    ],
    ["empty members", [["X-Forwarded-For", ", 203.0.113.9,, ,"]], client],
    ["only proxies", [["X-Forwarded-For", "10.0.0.3, 10.0.0.2"]], "10.0.0.3 http://site.example"],
    ["IPv6", [["X-Forwarded-For", "2001:DB8::9"]], "2001:db8::9 http://site.example"],
    ["IPv6 in brackets", [["X-Forwarded-For", "[2001:db8::9]"]], "2001:db8::9 http://site.example"],
    ["IPv6 with a port", [["X-Forwarded-For", "[2001:db8::9]:443"]], "2001:db8::9 http://site.example"],
    ["a proxy of IPv6", [["X-Forwarded-For", "203.0.113.9, 2001:db8:1::5"]], client],
    ["an IPv4-mapped client", [["X-Forwarded-For", "::ffff:203.0.113.9"]], client],
    ["an IPv4-mapped proxy", [["X-Forwarded-For", "203.0.113.9, ::ffff:10.0.0.2"]], client],
    ["an unknown client", [["X-Forwarded-For", "6.6.6.6, unknown, 10.0.0.2"]], "none http://site.example"],
    ["a malformed member", [["X-Forwarded-For", "6.6.6.6, 203.0.113, 10.0.0.2"]], "10.0.0.2 http://site.example"],
    ["a malformed last member", [["X-Forwarded-For", "6.6.6.6, x"]], "10.0.0.1 http://site.example"],
    ["a zone", [["X-Forwarded-For", "6.6.6.6, fe80::1%lo"]], "10.0.0.1 http://site.example"],
    ["IPv4 in brackets", [["X-Forwarded-For", "[203.0.113.9]"]], "10.0.0.1 http://site.example"],
    ["a scheme", [["X-Forwarded-Proto", "https"]], "10.0.0.1 https://site.example"],
    ["a scheme in another case", [["X-Forwarded-Proto", "HTTPS"]], "10.0.0.1 https://site.example"],
    ["the scheme of a WebSocket", [["X-Forwarded-Proto", "wss"]], "10.0.0.1 https://site.example"],
    ["several schemes", [["X-Forwarded-Proto", "https, http"]], "10.0.0.1 http://site.example"],
    ["another scheme", [["X-Forwarded-Proto", "ftp"]], "10.0.0.1 http://site.example"],
    ["a member of Object.prototype", [["X-Forwarded-Proto", "constructor"]], "10.0.0.1 http://site.example"],
    ["a host", [["X-Forwarded-Host", "www.example:8080"]], "10.0.0.1 http://www.example:8080"],
    ["several hosts", [["X-Forwarded-Host", "evil.example, www.example"]], "10.0.0.1 http://www.example"],
    ["an invalid host", [["X-Forwarded-Host", "www.example/path"]], "10.0.0.1 http://site.example"],
    ["an empty host", [["X-Forwarded-Host", ""]], "10.0.0.1 http://site.example"],
    [
      "a host with a port of its own",
      [
        ["X-Forwarded-Host", "www.example:8080"],
        ["X-Forwarded-Port", "9"]
      ],
      "10.0.0.1 http://www.example:8080"
    ],
    ["a port of the host", [["X-Forwarded-Port", "8443"]], "10.0.0.1 http://site.example:8443"],
    [
      "the default port",
      [
        ["X-Forwarded-Port", "443"],
        ["X-Forwarded-Proto", "https"]
      ],
      "10.0.0.1 https://site.example"
    ],
    [
      "the port of an IPv6 host",
      [
        ["X-Forwarded-Host", "[::1]"],
        ["X-Forwarded-Port", "8080"]
      ],
      "10.0.0.1 http://[::1]:8080"
    ],
    ["an invalid port", [["X-Forwarded-Port", "80a"]], "10.0.0.1 http://site.example"],
    ["a port beyond 65535", [["X-Forwarded-Port", "65536"]], "10.0.0.1 http://site.example"],
    [
      "Forwarded, which does not count",
      [["Forwarded", "for=6.6.6.6;proto=https;host=evil"]],
      "10.0.0.1 http://site.example"
    ]
  ] as ReadonlyArray<readonly [string, Fields, string]>)("%s", (_, fields, expected) => {
    expect(from(fields)).toBe(expected)
  })

  it("does not count from any other peer", () => {
    const fields: Fields = [
      ["X-Forwarded-For", "6.6.6.6"],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Host", "evil"],
      ["X-Forwarded-Port", "1"]
    ]
    expect(originFrom("203.0.113.1", "x-forwarded")(fields)).toBe("203.0.113.1 http://site.example")
  })
})

describe("Forwarded", () => {
  const from = originFrom("10.0.0.1", "forwarded")
  const client = "203.0.113.9 http://site.example"

  it.each([
    ["none", [], "10.0.0.1 http://site.example"],
    ["for", ["for=203.0.113.9"], client],
    ["a name in another case", ["For=203.0.113.9"], client],
    ["a quoted address", ['for="203.0.113.9"'], client],
    ["a quoted address with a port", ['for="203.0.113.9:4711"'], client],
    ["an obfuscated port", ['for="203.0.113.9:_p"'], client],
    ["an address with a port, without quotes", ["for=203.0.113.9:4711"], client],
    ["IPv6", ['for="[2001:DB8::9]"'], "2001:db8::9 http://site.example"],
    ["IPv6 with a port", ['for="[2001:db8::9]:47011"'], "2001:db8::9 http://site.example"],
    [
      "all parameters",
      ['for=203.0.113.9;proto=https;by=10.0.0.1;host="www.example:8443"'],
      "203.0.113.9 https://www.example:8443"
    ],
    ["white space and empty parameters", ["; for=203.0.113.9 ;; proto=https;"], "203.0.113.9 https://site.example"],
    ["an extension", ['secret="a;b, \\"c";for=203.0.113.9'], client],
    ["several proxies", ["for=203.0.113.9, for=10.0.0.3", "for=10.0.0.2"], client],
    ["what the client has sent", ["for=6.6.6.6;proto=https;host=evil", "for=203.0.113.9"], client],
    [
      "the scheme and host of the outermost proxy",
      ["for=203.0.113.9;proto=https;host=www.example, for=10.0.0.2;proto=http;host=inner"],
      "203.0.113.9 https://www.example"
    ],
    [
      "a scheme that the outermost proxy does not have",
      ["for=203.0.113.9, for=10.0.0.2;proto=https"],
      "203.0.113.9 https://site.example"
    ],
    ["without an address: the walk ends", ["for=6.6.6.6, proto=https"], "10.0.0.1 https://site.example"],
    ["an unknown client", ["for=6.6.6.6, for=unknown"], "none http://site.example"],
    ["an obfuscated client", ["for=6.6.6.6, for=_hidden;proto=https"], "none https://site.example"],
    ["an obfuscated client with a port", ['for="_SEVKISEK:80"'], "none http://site.example"],
    ["empty elements", [", for=203.0.113.9, ,"], client],
    ["a malformed element", ["for=6.6.6.6, for=203.0.113.9 proto=https"], "10.0.0.1 http://site.example"],
    ["the same parameter twice", ["for=203.0.113.9;for=6.6.6.6"], "10.0.0.1 http://site.example"],
    ["a parameter without a value", ["for"], "10.0.0.1 http://site.example"],
    ["white space around =", ["for = 203.0.113.9"], "10.0.0.1 http://site.example"],
    [
      "an open quote of the client",
      ['for=6.6.6.6;x=", for=203.0.113.9;proto=https'],
      "203.0.113.9 https://site.example"
    ],
    [
      "an open quote before quotes",
      ['for=6.6.6.6;x=", for="[2001:db8::9]";proto=https'],
      "2001:db8::9 https://site.example"
    ],
    ["a backslash of the client", ['x="\\, for="203.0.113.9"'], client],
    ["an open quote in a line before", ['x="', "for=203.0.113.9"], client],
    ["an invalid host", ['for=203.0.113.9;host="a/b"'], client],
    ["an invalid scheme", ["for=203.0.113.9;proto=javascript"], client]
  ] as ReadonlyArray<readonly [string, ReadonlyArray<string>, string]>)("%s", (_, lines, expected) => {
    expect(from(lines.map((line) => ["Forwarded", line] as const))).toBe(expected)
  })

  it("X-Forwarded-* does not count", () => {
    const fields: Fields = [
      ["X-Forwarded-For", "6.6.6.6"],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Host", "evil"]
    ]
    expect(from(fields)).toBe("10.0.0.1 http://site.example")
  })
})

/** Anything that a client may send in these fields. */
const anyFields: FastCheck.Arbitrary<Fields> = FastCheck.array(
  FastCheck.tuple(
    FastCheck.constantFrom(
      "Forwarded",
      "X-Forwarded-For",
      "X-Forwarded-Proto",
      "X-Forwarded-Host",
      "X-Forwarded-Port",
      "X-Real-IP"
    ),
    FastCheck.oneof(
      FastCheck.string({ unit: FastCheck.constantFrom(...'for=proto;,"\\[]:10.6 _unknownhttps'.split("")) }),
      FastCheck.constantFrom(
        "for=6.6.6.6;proto=https;host=evil",
        'for="',
        "6.6.6.6, 10.0.0.2",
        "10.0.0.2",
        "https",
        "evil.example",
        "8443",
        'x="\\'
      ),
      FastCheck.ipV4(),
      FastCheck.ipV6()
    )
  ),
  { maxLength: 6 }
)

describe("whatever a client sends", () => {
  it.prop(
    "directly, nothing of it counts",
    { fields: anyFields, header: FastCheck.constantFrom<ForwardedHeader>("x-forwarded", "forwarded") },
    ({ fields, header }) => {
      expect(originFrom("203.0.113.9", header)(fields)).toBe("203.0.113.9 http://site.example")
    }
  )

  it.prop(
    "through a proxy that adds X-Forwarded-For and -Proto, nothing of it counts",
    { fields: anyFields },
    ({ fields }) => {
      const replaced = fields.filter(([name]) => name !== "X-Forwarded-Host" && name !== "X-Forwarded-Port")
      const isKept = ([name]: Fields[number]): boolean => name !== "X-Forwarded-For"
      const sent = replaced.filter((field) => !isKept(field)).map(([, value]) => value)
      const added: Fields = [
        ...replaced.filter(isKept),
        ["X-Forwarded-For", [...sent, "203.0.113.9"].join(", ")],
        ["X-Forwarded-Proto", "https"]
      ]
      expect(originFrom("10.0.0.1", "x-forwarded")(added)).toBe("203.0.113.9 https://site.example")
    }
  )

  it.prop(
    "through a proxy that adds to the line of Forwarded, nothing of it counts",
    { fields: anyFields },
    ({ fields }) => {
      const isKept = ([name]: Fields[number]): boolean => name !== "Forwarded"
      const sent = fields.filter((field) => !isKept(field)).map(([, value]) => value)
      const element = 'for="[2001:db8::9]:4711";proto=https;host="www.example:1"'
      const added: Fields = [...fields.filter(isKept), ["Forwarded", [...sent, element].join(", ")]]
      expect(originFrom("10.0.0.1", "forwarded")(added)).toBe("2001:db8::9 https://www.example:1")
    }
  )
})

/** What a request shows: the same natively, and as an application of `@effect/platform` has it. */
interface Subject {
  readonly name: string
  readonly serve: (options: Server.Options) => Effect.Effect<number, never, Scope.Scope>
}

const native: Subject = {
  name: "natively",
  serve: (options) =>
    Effect.gen(function* () {
      const server = yield* Server.make({ address: "127.0.0.1", drainTimeout: 0, ...options })
      const { port } = yield* Effect.orDie(server.listen({ port: 0 }))
      const handler = (request: Request.Request) =>
        Response.respond(
          request,
          200,
          `${Option.getOrElse(request.remoteAddress, () => "none")} ${request.scheme}://${request.host}${request.url}`
        )
      yield* Effect.forkScoped(Effect.orDie(server.serve(handler)))
      return port
    }).pipe(Effect.provide(Layer.merge(Server.layerDependencies, quiet)), Effect.orDie)
}

const application: Subject = {
  name: "as an application",
  serve: (options) =>
    Effect.gen(function* () {
      const server = yield* HttpServer.make({ host: "127.0.0.1", drainTimeout: 0, ...options })
      yield* server.serve(
        Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
          HttpServerResponse.text(
            `${Option.getOrElse(request.remoteAddress, () => "none")} ${Option.getOrThrow(HttpServerRequest.toURL(request)).href}`
          )
        )
      )
      return server.address._tag === "TcpAddress" ? server.address.port : 0
    }).pipe(Effect.orDie)
}

const fieldLines = [
  "X-Forwarded-For: 6.6.6.6, 203.0.113.9",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: www.example",
  "X-Forwarded-Port: 8443",
  "Forwarded: for=198.51.100.7;proto=https;host=other.example"
]

for (const { name, serve } of [native, application]) {
  describe(name, () => {
    const show = (options: Server.Options, line = "GET /a?b", fields = fieldLines) =>
      Effect.gen(function* () {
        const { body, status } = yield* ask(yield* serve(options), requestText(line, [...fields, "Connection: close"]))
        expect(status).toBe(200)
        return Buffer.from(body).toString()
      })

    it.scopedLive("with an empty list of trusted proxies, none of the fields counts", () =>
      Effect.map(show({ trustedProxies: [] }), (shown) => expect(shown).toBe("127.0.0.1 http://test/a?b"))
    )

    it.scopedLive(
      "without trusted proxies, an application has the scheme that NodeHttpServer gives it, and no other field counts",
      () =>
        Effect.map(show({}), (shown) =>
          expect(shown).toBe(`127.0.0.1 ${name === native.name ? "http" : "https"}://test/a?b`)
        )
    )

    it.scopedLive("from another peer than the trusted proxies, none of the fields counts", () =>
      Effect.map(show({ trustedProxies: ["private", "unix", "127.0.0.2"] }), (shown) =>
        expect(shown).toBe("127.0.0.1 http://test/a?b")
      )
    )

    it.scopedLive("from a trusted proxy, X-Forwarded-* counts", () =>
      Effect.map(show({ trustedProxies: ["loopback"] }), (shown) =>
        expect(shown).toBe("203.0.113.9 https://www.example:8443/a?b")
      )
    )

    it.scopedLive("from a trusted proxy that writes it, Forwarded counts", () =>
      Effect.map(show({ trustedProxies: ["127.0.0.1"], forwardedHeader: "forwarded" }), (shown) =>
        expect(shown).toBe("198.51.100.7 https://other.example/a?b")
      )
    )

    it.scopedLive("the host of a target in absolute-form is replaced, too", () =>
      Effect.map(show({ trustedProxies: ["loopback"] }, "GET http://inner/a?b"), (shown) =>
        expect(shown).toBe("203.0.113.9 https://www.example:8443/a?b")
      )
    )

    it.scopedLive("a path of two slashes in absolute-form stays a path", () =>
      Effect.map(show({ trustedProxies: ["loopback"] }, "GET http://inner//a"), (shown) =>
        expect(shown).toBe("203.0.113.9 https://www.example:8443//a")
      )
    )
  })
}

it.scopedLive("the peer of a Unix domain socket is a proxy, by its name", () =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "forwarded-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const path = join(folder, "s")
    yield* native.serve({ trustedProxies: ["unix"], additional: [{ path }] })
    const socket = connect(path)
    const whole = Effect.async<string>((resume) => {
      let all = ""
      socket.on("data", (bytes) => {
        all += bytes
      })
      socket.on("close", () => resume(Effect.succeed(all)))
    })
    socket.write(requestText("GET /", ["X-Forwarded-For: 203.0.113.9", "Connection: close"]))
    expect((yield* whole).split("\r\n\r\n")[1]).toBe("203.0.113.9 http://test/")
  })
)

it.scopedLive("natively, headers and client are as they were sent", () =>
  Effect.gen(function* () {
    const server = yield* Server.make({ address: "127.0.0.1", trustedProxies: ["loopback"], drainTimeout: 0 })
    const { port } = yield* server.listen({ port: 0 })
    yield* Effect.forkScoped(
      server.serve((request) => {
        const [proto, host] = ["X-Forwarded-Proto", "Host"].map((name) =>
          HttpHeaders.getAll(request.headers, name).join("|")
        )
        const remote = Option.getOrThrow(request.client.remote)
        return Response.respond(request, 200, `${proto} ${host} ${remote._tag === "TcpAddress" ? remote.hostname : ""}`)
      })
    )
    const fields = [
      "X-Forwarded-For: 203.0.113.9",
      "X-Forwarded-Proto: ftp",
      "X-Forwarded-Host: b",
      "Connection: close"
    ]
    const { body } = yield* ask(port, requestText("GET /", fields))
    expect(Buffer.from(body).toString()).toBe("ftp test 127.0.0.1")
  }).pipe(Effect.provide(Server.layerDependencies))
)

describe("options", () => {
  it.scopedLive.each([
    ["trustedProxies", { trustedProxies: ["10.0.0.0/33"] }],
    ["trustedProxies", { trustedProxies: ["all"] }],
    ["trustedProxies", { trustedProxies: "10.0.0.0/8" as never }],
    ["forwardedHeader", { forwardedHeader: "both" as never }]
  ] as ReadonlyArray<readonly [string, Server.Options]>)("%s is validated: %j", ([name, options]) =>
    Effect.gen(function* () {
      const server = yield* Server.make({ address: "127.0.0.1", ...options })
      const error = yield* Effect.flip(server.listen())
      expect(error).toMatchObject({ _tag: "ValueError", reason: "Option", actual: expect.stringMatching(`^${name}: `) })
    }).pipe(Effect.provide(Server.layerDependencies))
  )
})
