/** Strict parser of responses: whatever a client would have to guess is an error. */

export interface ParsedResponse {
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>
  /** The value of the field of that name; it is an error if there are two. */
  readonly header: (name: string) => string | undefined
  readonly body: Buffer
  readonly text: string
  /** The sizes of the chunks of a chunked body. */
  readonly chunks: ReadonlyArray<number>
  readonly trailers: ReadonlyArray<readonly [name: string, value: string]>
  /** Bytes of the whole response. */
  readonly length: number
}

const lineEnd = Buffer.from("\r\n")

const fieldsOf = (lines: ReadonlyArray<string>): ReadonlyArray<readonly [string, string]> =>
  lines.map((line) => {
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t -~\x80-\xff]*)$/.exec(line)
    if (field === null) throw new Error(`not a field line: ${JSON.stringify(line)}`)
    return [field[1]!, field[2]!]
  })

interface Content {
  readonly body: Buffer
  readonly chunks: ReadonlyArray<number>
  readonly trailers: ReadonlyArray<readonly [string, string]>
  readonly end: number
}

const plain = (body: Buffer, end: number): Content => ({ body, chunks: [], trailers: [], end })

/** The chunks from `at` on; `undefined` while they are incomplete. */
const chunked = (bytes: Buffer, at: number): Content | undefined => {
  const chunks: Array<Buffer> = []
  for (;;) {
    const end = bytes.indexOf(lineEnd, at)
    if (end < 0) return undefined
    const line = bytes.toString("latin1", at, end)
    if (!/^[0-9a-f]+$/.test(line)) throw new Error(`not a chunk size: ${JSON.stringify(line)}`)
    const size = Number.parseInt(line, 16)
    at = end + 2
    if (size === 0) break
    if (bytes.length < at + size + 2) return undefined
    if (bytes.toString("latin1", at + size, at + size + 2) !== "\r\n") throw new Error("no CRLF after a chunk")
    chunks.push(bytes.subarray(at, at + size))
    at += size + 2
  }
  const lines: Array<string> = []
  for (;;) {
    const end = bytes.indexOf(lineEnd, at)
    if (end < 0) return undefined
    const line = bytes.toString("latin1", at, end)
    at = end + 2
    if (line === "") break
    lines.push(line)
  }
  return { body: Buffer.concat(chunks), chunks: chunks.map(({ length }) => length), trailers: fieldsOf(lines), end: at }
}

/**
 * The first response in the bytes; `undefined` while it is incomplete. `method` is that of the request, since HEAD has no body;
 * `isEnded` means that no byte follows, which ends a body of unknown length and makes any other partial response an error.
 */
export const parseResponse = (bytes: Buffer, method: string, isEnded: boolean): ParsedResponse | undefined => {
  const cutShort = (): undefined => {
    if (isEnded) throw new Error(`the connection ended within a response: ${JSON.stringify(bytes.toString("latin1"))}`)
    return undefined
  }
  const headEnd = bytes.indexOf("\r\n\r\n")
  if (headEnd < 0) return cutShort()
  const [first = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n")
  const line = /^(HTTP\/1\.[01]) ([1-5][0-9][0-9]) ([\t -~]*)$/.exec(first)
  if (line === null) throw new Error(`not a status line: ${JSON.stringify(first)}`)
  const [, version = "", code, reason = ""] = line
  const status = Number(code)
  const fields = fieldsOf(lines)
  const header = (name: string): string | undefined => {
    const found = fields.filter(([each]) => each.toLowerCase() === name.toLowerCase())
    if (found.length > 1) throw new Error(`${found.length} fields ${name}`)
    return found[0]?.[1]
  }
  const at = headEnd + 4
  const content = (): Content | undefined => {
    if (method === "HEAD" || status < 200 || status === 204 || status === 304) return plain(bytes.subarray(at, at), at)
    const coding = header("Transfer-Encoding")
    const announced = header("Content-Length")
    if (coding !== undefined && announced !== undefined) throw new Error("Transfer-Encoding and Content-Length")
    if (coding !== undefined) {
      if (coding !== "chunked") throw new Error(`Transfer-Encoding: ${coding}`)
      return chunked(bytes, at)
    }
    if (announced === undefined) return isEnded ? plain(bytes.subarray(at), bytes.length) : undefined
    if (!/^[0-9]+$/.test(announced)) throw new Error(`Content-Length: ${announced}`)
    const end = at + Number(announced)
    return bytes.length < end ? undefined : plain(bytes.subarray(at, end), end)
  }
  const found = content()
  if (found === undefined) return cutShort()
  const { body, chunks, end, trailers } = found
  return {
    version,
    status,
    reason,
    fields,
    header,
    body,
    get text() {
      return body.toString("utf8")
    },
    chunks,
    trailers,
    length: end
  }
}

/** Every response in the bytes of a connection that has ended. */
export const parseResponses = (bytes: Buffer): ReadonlyArray<ParsedResponse> => {
  const responses: Array<ParsedResponse> = []
  for (let at = 0; at < bytes.length; ) {
    const response = parseResponse(bytes.subarray(at), "GET", true)
    // `isEnded` makes any incomplete response an error.
    if (response === undefined) throw new Error("not a response")
    responses.push(response)
    at += response.length
  }
  return responses
}
