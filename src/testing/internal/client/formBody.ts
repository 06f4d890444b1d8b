/**
 * A `FormData` as the bytes of `multipart/form-data`, whatever realm it is of.
 *
 * Node's `Response` encodes only Node's own `FormData`: that of a jsdom it takes for text, or never reads to its end.
 * Names and values are written as browsers do (HTML §4.10.21.8).
 *
 * @internal
 */
import { randomUUID } from "node:crypto"

export interface FormBody {
  readonly bytes: Buffer
  readonly contentType: string
}

/** What a `Blob` of any realm has; a jsdom's has no `arrayBuffer`. */
interface BlobLike {
  readonly name?: string
  readonly type: string
  readonly arrayBuffer?: () => Promise<ArrayBuffer>
}

interface Reader {
  readonly result: ArrayBuffer
  onload: () => void
  onerror: (event: unknown) => void
  readAsArrayBuffer(blob: BlobLike): void
}

/** Of the window that the form is of; Node has none. */
const readBy = (FileReader: new () => Reader, blob: BlobLike): Promise<ArrayBuffer> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result)
    reader.onerror = reject
    reader.readAsArrayBuffer(blob)
  })

const contentOf = async (blob: BlobLike): Promise<Uint8Array> => {
  if (typeof blob.arrayBuffer === "function") return new Uint8Array(await blob.arrayBuffer())
  const { FileReader } = globalThis as { readonly FileReader?: new () => Reader }
  if (FileReader === undefined) throw new TypeError("a file of the form has no arrayBuffer, and there is no FileReader")
  return new Uint8Array(await readBy(FileReader, blob))
}

const withLineEnds = (text: string): string => text.replace(/\r\n?|\n/g, "\r\n")

const escaped = (name: string): string => name.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22")

const partOf = async (name: string, value: string | BlobLike): Promise<ReadonlyArray<string | Uint8Array>> => {
  const disposition = `Content-Disposition: form-data; name="${escaped(withLineEnds(name))}"`
  if (typeof value === "string") return [`${disposition}\r\n\r\n`, withLineEnds(value)]
  const file = `; filename="${escaped(value.name ?? "blob")}"`
  const type = `Content-Type: ${value.type === "" ? "application/octet-stream" : value.type}`
  return [`${disposition}${file}\r\n${type}\r\n\r\n`, await contentOf(value)]
}

export const encodeForm = async (form: FormData): Promise<FormBody> => {
  const boundary = `----${randomUUID()}`
  const pieces: Array<string | Uint8Array> = []
  // The type is Node's; what the values are is their realm's.
  for (const [name, value] of form.entries() as Iterable<[string, string | BlobLike]>) {
    pieces.push(`--${boundary}\r\n`, ...(await partOf(name, value)), "\r\n")
  }
  pieces.push(`--${boundary}--\r\n`)
  return {
    bytes: Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece))),
    contentType: `multipart/form-data; boundary=${boundary}`
  }
}
