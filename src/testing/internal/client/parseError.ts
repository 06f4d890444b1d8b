/**
 * What a response parser rejects, under the names that Node's parser (llhttp) has for it, since tests compare those.
 *
 * @internal
 */

export type ParseErrorCode =
  | "HPE_CHUNK_EXTENSIONS_OVERFLOW"
  | "HPE_CLOSED_CONNECTION"
  | "HPE_CR_EXPECTED"
  | "HPE_HEADER_OVERFLOW"
  | "HPE_INVALID_CHUNK_SIZE"
  | "HPE_INVALID_CONSTANT"
  | "HPE_INVALID_CONTENT_LENGTH"
  | "HPE_INVALID_HEADER_TOKEN"
  | "HPE_INVALID_STATUS"
  | "HPE_INVALID_TRANSFER_ENCODING"
  | "HPE_INVALID_VERSION"
  | "HPE_LF_EXPECTED"
  | "HPE_STRICT"
  | "HPE_UNEXPECTED_CONTENT_LENGTH"
  | "HPE_UNEXPECTED_SPACE"

/** Bytes that no response contains at this point. A value: the parser does not throw. */
export interface ParseError {
  readonly _tag: "ParseError"
  readonly code: ParseErrorCode
  readonly reason: string
  /** The rejected text, from the beginning of its line or field, shortened. */
  readonly actual: string
}

/** Characters of a rejected text that an error shows. */
export const maxShown = 80

export const parseError = (code: ParseErrorCode, reason: string, actual: string): ParseError => ({
  _tag: "ParseError",
  code,
  reason,
  actual: actual.slice(0, maxShown)
})
