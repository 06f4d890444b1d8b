/** Errors of the response parser, with the codes of Node's parser (llhttp), since tests assert those. */

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

/** Bytes that are invalid at this point of a response. A value: the parser does not throw. */
export interface ParseError {
  readonly _tag: "ParseError"
  readonly code: ParseErrorCode
  readonly reason: string
  /** The rejected text, from the beginning of its line or field, shortened. */
  readonly actual: string
}

/** Maximum number of characters of a rejected text in an error. */
export const maxShown = 80

export const parseError = (code: ParseErrorCode, reason: string, actual: string): ParseError => ({
  _tag: "ParseError",
  code,
  reason,
  actual: actual.slice(0, maxShown)
})
