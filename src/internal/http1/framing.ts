/**
 * Framing of a request body, determined once from the header section (RFC 9112 §6.3), and rejected whenever two recipients
 * could determine it differently.
 */
import { splitList } from "../fields/fieldList.js"
import { type Malformed, malformed } from "./parseResult.js"

export type Framing =
  | { readonly _tag: "None" }
  | { readonly _tag: "Length"; readonly length: number }
  | { readonly _tag: "Chunked" }

export const noBody: Framing = { _tag: "None" }

const chunked: Framing = { _tag: "Chunked" }

/** Decimal digits that always stay below 2 ** 53; longer lengths are rejected. */
const safeDigits = 15

/** The framing of a Content-Length: one field, digits only. The digits are counted first, so that no length overflows. */
const byLength = (value: string, maxBody: number): Framing | Malformed => {
  if (!/^[0-9]+$/.test(value)) return malformed("ContentLength", value)
  const digits = value.replace(/^0+(?=[0-9])/, "")
  if (digits.length > safeDigits || Number(digits) > maxBody) return malformed("BodyTooLarge", value)
  return digits === "0" ? noBody : { _tag: "Length", length: Number(digits) }
}

/** `transfer-coding = token *( OWS ";" OWS transfer-parameter )` */
const isCoding = (text: string): boolean =>
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+([ \t]*;[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+|"[^"\\]*"))*$/.test(
    text
  )

/** The framing of the transfer codings: only `chunked`, last and once; other codings are not implemented. */
const byCodings = (value: string): Framing | Malformed => {
  // Empty members are rejected, not ignored (RFC 9110 §5.6.1.2): recipients differ on whether `chunked,` is chunked.
  const codings = [...splitList(value)]
  const last = codings.pop()
  if (last?.toLowerCase() !== "chunked") return malformed("TransferEncoding", value)
  for (const coding of codings) {
    if (!isCoding(coding) || /^chunked[ \t]*(;|$)/i.test(coding)) return malformed("TransferEncoding", value)
  }
  return codings.length === 0 ? chunked : malformed("CodingUnknown", value)
}

/** The fields that framing depends on: every value of each name, as sent. */
interface FramingFields {
  readonly contentLengths: ReadonlyArray<string>
  readonly transferEncodings: ReadonlyArray<string>
  /** The minor version of HTTP/1.x. */
  readonly minor: number
}

export const bodyFraming = (fields: FramingFields, maxBody: number): Framing | Malformed => {
  const { contentLengths, transferEncodings } = fields
  if (transferEncodings.length > 0) {
    if (contentLengths.length > 0) return malformed("TransferEncoding", "Content-Length beside Transfer-Encoding")
    if (fields.minor === 0) return malformed("TransferEncoding", "in HTTP/1.0")
    return byCodings(transferEncodings.join(","))
  }
  if (contentLengths.length === 0) return noBody
  return contentLengths.length === 1
    ? byLength(contentLengths[0]!, maxBody)
    : malformed("ContentLength", contentLengths.join(", "))
}
