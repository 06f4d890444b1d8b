/**
 * TLS: handshakes, certificates by name, reloads, client certificates, and what goes wrong.
 */
import { readFileSync } from "node:fs"
import { Deferred, Effect, Option, Stream } from "effect"
import { Response, Tls } from "effect-asynchttpserver"
import { equal, group, match, Unsupported } from "./checks.js"
import { get, lastGet, open, openTls, reference } from "./client.js"
import { failing, released } from "./core.js"
import { content, serving, slowLimits } from "./serving.js"

export const tls = group("TLS")

const { check } = tls

const { authority, client, localhost, named, renewed, rsa, untrusted } = JSON.parse(
  readFileSync(process.env.SMOKE_CERTIFICATES, "utf8")
)

const text = (of) => (request) => Response.respond(request, 200, of(request))

const describe = text(({ client }) => {
  const { protocol, serverName } = Option.getOrThrow(client.tls)
  return `${protocol} ${Option.getOrElse(serverName, () => "none")}`
})

const secure = (handler, use, options, more) => serving(handler, use, { tls: { ...localhost, ...options }, ...more })

const ca = { ca: authority }

const commonNameOf = ({ socket }) => socket.getPeerCertificate().subject.CN

/** The error of a handshake that fails, or `undefined`. With TLS 1.3 the client may learn of it only when it reads. */
const failureOf = async (port, options) => {
  try {
    const client = await openTls(port, options)
    client.send(lastGet("/"))
    await client.ended()
    client.socket.destroy()
    return client.error ?? (client.text === "" ? new Error("closed") : undefined)
  } catch (error) {
    return error
  }
}

for (const version of ["TLSv1.2", "TLSv1.3"]) {
  check(`${version}: requests, and the session of the request`, () =>
    secure(describe, async ({ port }) => {
      const client = await openTls(port, { ...ca, minVersion: version, maxVersion: version })
      client.send(`${get("/")}${lastGet("/")}`)
      const received = await client.ended()
      client.socket.destroy()
      equal(received.match(new RegExp(`${version} localhost`, "g"))?.length, 2)
    })
  )
}

check("certificates by name (SNI)", () =>
  secure(
    describe,
    async ({ port }) => {
      for (const [servername, expected] of [
        ["a.example", "a.example"],
        ["other.example", "localhost"]
      ]) {
        const client = await openTls(port, { ...ca, servername, rejectUnauthorized: false })
        equal(commonNameOf(client), expected)
        client.socket.destroy()
      }
    },
    { certificates: { "a.example": named } }
  )
)

check("certificates by name, of several key types", async () => {
  const isRefused = Symbol("refused")
  const served = secure(
    describe,
    async ({ port }) => {
      const client = await openTls(port, { ...ca, servername: "rsa.example", rejectUnauthorized: false })
      equal(commonNameOf(client), "rsa.example")
      client.socket.destroy()
    },
    { certificates: { "rsa.example": rsa } }
  )
  const outcome = await served.catch((error) => {
    if (!String(error).includes("ENOTSUP")) throw error
    return isRefused
  })
  if (outcome === isRefused)
    throw new Unsupported("refuses certificates by name with several key types: `SslError` `ENOTSUP`")
})

check("a reload: new connections have the new certificate, open ones continue", () => {
  let current = localhost
  const source = Tls.source(Effect.sync(() => current))
  return serving(
    describe,
    async ({ port, server }) => {
      const before = await openTls(port, ca)
      equal(commonNameOf(before), "localhost")
      current = renewed
      await Effect.runPromise(server.reloadTls)
      const after = await openTls(port, { ...ca, rejectUnauthorized: false })
      equal(commonNameOf(after), "renewed")
      after.socket.destroy()
      before.send(lastGet("/"))
      match(await before.ended(), /200 OK/)
      before.socket.destroy()
    },
    { tls: { source } }
  )
})

const clientName = text(({ client }) => {
  const certificate = Option.flatMap(client.tls, ({ clientCertificate }) => clientCertificate)
  return Option.match(certificate, {
    onNone: () => "no certificate",
    onSome: ({ commonName, isTrusted }) => `${Option.getOrElse(commonName, () => "no name")} ${isTrusted}`
  })
})

const withCertificates = (clientCertificates, use) => secure(clientName, use, { ca: authority, clientCertificates })

const responseTo = async (port, options) => {
  const client = await openTls(port, { ...ca, ...options })
  client.send(lastGet("/"))
  const received = await client.ended()
  client.socket.destroy()
  return received
}

check('clientCertificates: "require"', () =>
  withCertificates("require", async ({ port }) => {
    match(await responseTo(port, client), /\r\n\r\nclient true$/)
    if ((await failureOf(port, ca)) === undefined) throw new Error("a client without a certificate was served")
    if ((await failureOf(port, { ...ca, ...untrusted })) === undefined)
      throw new Error("an untrusted client was served")
  })
)

check('clientCertificates: "request"', () =>
  withCertificates("request", async ({ port }) => {
    match(await responseTo(port, client), /\r\n\r\nclient true$/)
    match(await responseTo(port, untrusted), /\r\n\r\nuntrusted false$/)
    match(await responseTo(port, {}), /\r\n\r\nno certificate$/)
  })
)

const isNode = !("bun" in process.versions || "deno" in process.versions)

check("plain HTTP on the port: reported, and 400 on Node", async () => {
  const reported = Effect.runSync(Deferred.make())
  const onHandshakeError = (error) => Effect.asVoid(Deferred.succeed(reported, error))
  let received
  await secure(
    describe,
    async ({ port, server }) => {
      const client = await open(port)
      client.send(get("/"))
      received = await client.ended()
      client.socket.destroy()
      match((await Effect.runPromise(Deferred.await(reported))).code, isNode ? /^ERR_SSL_HTTP_REQUEST$/ : /^ERR_SSL_/)
      await released(server)
    },
    { onHandshakeError }
  )
  if (isNode) match(received, /^HTTP\/1\.1 400 /)
  else if (!received.startsWith("HTTP/1.1 400 "))
    throw new Unsupported("plain HTTP on a port of TLS is reported and closed, without a 400")
})

check("a client without a handshake is disconnected, and its descriptor released", () =>
  secure(
    describe,
    async ({ port, server }) => {
      const client = await open(port)
      await client.ended()
      client.socket.destroy()
      await released(server)
    },
    { handshakeTimeout: "50 millis" }
  )
)

check("a client that leaves the handshake, and one that sends nonsense", () =>
  secure(describe, async ({ port, server }) => {
    for (const bytes of ["\x16\x03\x01\x01", "\x16\x03\x01\x00\x05hello"]) {
      const client = await open(port)
      client.socket.end(bytes, "latin1")
      await client.ended()
      client.socket.destroy()
    }
    await released(server)
    match(await responseTo(port, {}), /200 OK/)
  })
)

for (const version of ["TLSv1.2", "TLSv1.3"]) {
  check(`${version}: a session is resumed`, () =>
    secure(
      text(({ client }) => `resumed ${Option.getOrThrow(client.tls).isResumed}`),
      async ({ port }) => {
        const options = { ...ca, minVersion: version, maxVersion: version }
        const { after, before } = await reference({ mode: "resume", port, ...options })
        match(before, /resumed false$/)
        match(after, /resumed true$/)
      }
    )
  )
}

const large = (request) => Response.respond(request, 200, content)

check("24 MiB to a client that reads steadily for longer than writeTimeout", () =>
  secure(
    large,
    async ({ port }) => {
      const { total } = await reference({ mode: "slowly", port, ...ca })
      if (total < content.length) throw new Error(`received ${total} of ${content.length} bytes`)
    },
    {},
    { limits: slowLimits }
  )
)

check("a client that stops reading is disconnected after writeTimeout", () =>
  secure(
    large,
    async ({ port }) => {
      const { total } = await reference({ mode: "stalled", port, ...ca })
      if (total >= content.length) throw new Error("received everything")
    },
    {},
    { limits: slowLimits }
  )
)

check("a body streamed back while it arrives", () =>
  secure(
    (request) => Response.respondStream(request, 200, request.stream),
    async ({ port }) => {
      const client = await openTls(port, ca)
      client.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
      await client.receive(/5\r\nfirst\r\n/)
      client.send("6\r\nsecond\r\n0\r\n\r\n")
      match(await client.ended(), /6\r\nsecond\r\n0\r\n\r\n$/)
      client.socket.destroy()
    }
  )
)

check("a request body of 4 MiB", () =>
  secure(
    (request) =>
      Effect.flatMap(
        Stream.runFold(request.stream, 0, (sum, bytes) => sum + bytes.length),
        (size) => Response.respond(request, 200, `${size} bytes`)
      ),
    async ({ port }) => {
      const client = await openTls(port, ca)
      client.send(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${4 << 20}\r\n\r\n`)
      client.socket.write(Buffer.alloc(4 << 20))
      match(await client.ended(), /4194304 bytes$/)
      client.socket.destroy()
    }
  )
)

check("a failed response is reset, and its descriptor released", async () => {
  const received = Effect.runSync(Deferred.make())
  await secure(failing(received), async ({ port, server }) => {
    const { error } = await reference({ mode: "reset", port, ...ca }, () =>
      Effect.runSync(Deferred.succeed(received, undefined))
    )
    equal(error, "ECONNRESET")
    await released(server)
  })
})
