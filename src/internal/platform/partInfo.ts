/** Description of a part of a form: its name, file name and type, from its field lines (RFC 7578 §4). */

import { TextDecoder } from "node:util"
import type * as Multipart from "@effect/platform/Multipart"
import type * as Effect from "effect/Effect"
import { parseContentDisposition, parseContentType } from "./mediaParameters.js"
import type { FieldLine } from "./multipartParser.js"

export type FormConfig = Effect.Effect.Success<ReturnType<typeof Multipart.makeConfig>>

/** The argument of `isFile` in `@effect/platform`. */
export type PartInfo = Parameters<NonNullable<FormConfig["isFile"]>>[0]

/** A leading U+FEFF is part of a value. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

/** The charset of a form: UTF-8, unless its field `_charset_` names another one (RFC 7578 §4.6). */
export class FormCharset {
  private default = utf8

  /** Decodes bytes; invalid ones become U+FFFD. An unknown label is treated as UTF-8. */
  decode(bytes: Uint8Array, label?: string): string {
    return (label === undefined ? this.default : decoderOf(label)).decode(bytes)
  }

  /** Browsers never encode a form in UTF-16 (HTML, "selecting a form submission encoding"). */
  setDefault(label: string): void {
    const decoder = decoderOf(label.trim())
    if (!decoder.encoding.startsWith("utf-16")) this.default = decoder
  }
}

const decoderOf = (label: string): TextDecoder => {
  if (/^utf-?8$/i.test(label)) return utf8
  try {
    return new TextDecoder(label, { ignoreBOM: true })
  } catch {
    return utf8
  }
}

/** Decodes Latin-1 pairs to a record. */
const decodedRecord = (entries: Iterable<FieldLine>, charset: FormCharset): Record<string, string> =>
  Object.fromEntries(Array.from(entries, ([name, value]) => [name, charset.decode(Buffer.from(value, "latin1"))]))

const typeOf = (text: string | undefined) => {
  const type = text === undefined ? undefined : parseContentType(text)
  return type?.value.includes("/") === true ? type : undefined
}

/**
 * Describes a part, or returns an error message. A part of `multipart/form-data` must have a name. `filename*` is not read
 * (RFC 7578 §4.2 forbids it): with `filename` it is ignored, alone it is an error, since a file must not become a field.
 */
export const describePart = (
  fields: ReadonlyArray<FieldLine>,
  charset: FormCharset,
  isFormData: boolean
): PartInfo | string => {
  const values = (name: string) => fields.filter((field) => field[0] === name).map(([, value]) => value)
  const dispositions = values("content-disposition")
  const disposition = dispositions.length === 1 ? parseContentDisposition(dispositions[0]!) : undefined
  const parameters = decodedRecord(disposition?.parameters ?? [], charset)
  const { filename, name } = parameters
  if (isFormData && (disposition?.value !== "form-data" || name === undefined)) {
    return "a part has no Content-Disposition of form-data with a name"
  }
  if (filename === undefined && disposition?.parameters.has("filename*")) return "a part has filename* and no filename"
  const type = typeOf(values("content-type")[0])
  return {
    name: name ?? "",
    filename,
    contentType: type?.value ?? (filename === undefined ? "text/plain" : "application/octet-stream"),
    contentTypeParameters: Object.fromEntries(type?.parameters ?? []),
    contentDisposition: disposition?.value ?? "",
    contentDispositionParameters: parameters,
    /** Lazy: only a custom `isFile` may read it. */
    get headers() {
      return decodedRecord(fields, charset)
    }
  }
}

/** The default rule, that of `multipasta`. */
export const isFileByDefault = ({ contentType, filename }: PartInfo): boolean =>
  filename !== undefined || contentType === "application/octet-stream"
