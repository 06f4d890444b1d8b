/**
 * What fuzzing has found, as rows that are tried again in every test run: mistakes of the parser that were mended, and
 * streams on which it and Node part in ways that took a rule of their own. Latin1, one character a byte.
 */

export interface Past {
  readonly title: string
  readonly text: string
  /** What is read of it, by the targets of its requests, and the status of the refusal, if there is one. */
  readonly targets: ReadonlyArray<string>
  readonly status: number | undefined
}

const past = (title: string, text: string, targets: ReadonlyArray<string>, status?: number): Past => ({
  title,
  text,
  targets,
  status
})

const get = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

export const corpus: ReadonlyArray<Past> = [
  // Mistakes of the parser.
  past(
    "an empty Expect was another expectation",
    `PUT / HTTP/1.1\r\nHost: a\r\nExpect:\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi${get}`,
    ["/", "/next"]
  ),
  past(
    "a coding whose name begins with chunked was taken for chunked twice",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked!, chunked\r\n\r\n0\r\n\r\n",
    [],
    501
  ),
  past(
    "an Upgrade that named no protocol was an offer",
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: ,\r\n\r\n${get}`,
    ["/", "/next"]
  ),
  past("a port of ten digits was none, whatever they were", `GET / HTTP/1.1\r\nHost: a:0000000080\r\n\r\n${get}`, [
    "/",
    "/next"
  ]),
  // Streams on which it and Node part.
  past("Proxy-Connection closes nothing", `GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: ,, ,close,\r\n\r\n${get}`, [
    "/",
    "/next"
  ]),
  past(
    "Connection among the trailers closes nothing",
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: Transfer-Encoding, close\r\n\r\n${get}`,
    ["/", "/next"]
  ),
  past(
    "Proxy-Connection offers no upgrade",
    `GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: upgrade\r\nUpgrade: ,\r\nUpgrade:\r\n\r\n${get}`,
    ["/", "/next"]
  ),
  past(
    "a tab after a transfer coding is whitespace",
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked \t\r\n\r\n1\r\nb\r\n0\r\n\r\n${get}`,
    ["/", "/next"]
  ),
  past(
    "a stale request that offers an upgrade, whose body is an upgrade's rest to others",
    `POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: ${get.length}\r\n\r\n${get}${get}`,
    ["/", "/next"]
  ),
  past(
    "a tab after keep-alive is whitespace",
    `GET / HTTP/1.0\r\nHost: a\r\nConnection: x,\tKeep-Alive\t\r\n\r\n${get}`,
    ["/", "/next"]
  ),
  past("a method of another protocol that is not whole", "GET / R", [], 400),
  past("HTTP/0.9 with fields", "GET /\r\nHost: a\r\n\r\n", [], 400),
  past("CONNECT that closes is no request that gets a response", "CONNECT a:1 HTTP/1.0\r\n\r\n", [], 501),
  past(
    "a CONNECT without a target is refused, and read by Node",
    "CONNECT \r\nexample.com:443 HTTP/1.1\r\nHost: a\r\n",
    [],
    400
  )
]
