/** A response head for tests, written by `ResponseWriter`, and its parts. */
import { expect } from "@effect/vitest"
import * as ResponseWriter from "../../src/ResponseWriter.js"

export const writer = ResponseWriter.make()

export const date = "Sun, 06 Nov 1994 08:49:37 GMT"

/** A 200 without fields and without a known length, to a GET of HTTP/1.1 on a persistent connection. */
export const plain: ResponseWriter.ResponseHeadInput = {
  status: 200,
  fields: [],
  contentLength: undefined,
  method: "GET",
  minor: 1,
  keepAlive: true,
  date
}

export const head = (outline: Partial<ResponseWriter.ResponseHeadInput>): ResponseWriter.WrittenHead => {
  const written = writer.head({ ...plain, ...outline })
  if (written._tag === "InvalidResponse") throw new Error(`rejected: ${written.reason}: ${written.actual}`)
  return written
}

/** The lines after the status line, without the empty one, and without `Date`. */
export const linesOf = (text: string): ReadonlyArray<string> => {
  expect(text.endsWith("\r\n\r\n")).toBe(true)
  return text
    .slice(0, -4)
    .split("\r\n")
    .slice(1)
    .filter((line) => line !== `Date: ${date}`)
}

export const rejectionReason = (
  response: string | ResponseWriter.WrittenHead | ResponseWriter.InvalidResponse
): string | undefined =>
  typeof response !== "string" && response._tag === "InvalidResponse" ? response.reason : undefined
export const length = (bytes: number) => ({ _tag: "Length", length: bytes }) as const
