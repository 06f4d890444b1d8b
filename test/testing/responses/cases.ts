/** The form of the rows, and the parts of responses that several rows share. */
import type { ParseErrorCode } from "../../../src/testing/internal/client/parseError.js"
import type { RequestContext } from "../../../src/testing/internal/client/responseHead.js"

export interface NodeDiffers {
  /** In the form of `nodeVerdict`. */
  readonly node: string
  readonly because: string
}

export interface Case {
  readonly title: string
  readonly request?: Partial<RequestContext>
  readonly differs?: NodeDiffers
}

export interface Accepted extends Case {
  readonly text: string
  readonly status?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly trailers?: Readonly<Record<string, string>>
  /** Whether the connection persists; without it, the end of the connection ends the content. */
  readonly keepAlive?: boolean
  readonly untilClose?: boolean
}

export interface Rejected extends Case {
  readonly code: ParseErrorCode
  readonly valid: string
  readonly invalid: string
}

/** A response without an error, and without an end when its connection ends. */
export interface Truncated extends Case {
  readonly text: string
}

export const ok = "HTTP/1.1 200 OK\r\n"
export const five = "Content-Length: 5\r\n"
export const chunked = "Transfer-Encoding: chunked\r\n"
export const hello = `${five}\r\nHello`
export const inChunks = `${ok}${chunked}\r\n`
export const helloChunk = `${inChunks}5\r\nHello\r\n`

/** The bound of a head, of a trailer section and of a chunk's line. */
export const maxSize = 16 * 1024

/** A field line of `size` bytes. */
export const fieldOf = (size: number): string => `X: ${"y".repeat(size - 5)}\r\n`

export const lenient = "Node's parser accepts this, which RFC 9110 or 9112 forbids a server to send"

export const node = (verdict: string, because = lenient): NodeDiffers => ({ node: verdict, because })

export const nodeReads = node("200 Hello")

export const strict = node("HPE_STRICT", "Node's parser has another code for the same outside of fields")
