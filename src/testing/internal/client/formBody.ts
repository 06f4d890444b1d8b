/**
 * Encoder of a `FormData` of any realm as `multipart/form-data`.
 *
 * Node's `Response` encodes only Node's own `FormData`: it treats that of jsdom as text, or never reads it to its end.
 * Names and values are written as browsers do (HTML §4.10.21.8).
 */
import { randomUUID } from "node:crypto"

interface FormBody {
  readonly bytes: Buffer
  readonly contentType: string
}

/** The part of a `Blob` that is common to all realms; that of jsdom has no `arrayBuffer`. */
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

/** Reads a blob with the `FileReader` of its window; Node has none. */
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
  if (FileReader === undefined)
    throw new TypeError(
      "Cannot read a file of the FormData: it has no arrayBuffer method, and FileReader is not defined"
    )
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
  // Typed as Node's `FormData`; the values are those of their realm.
  for (const [name, value] of form.entries() as Iterable<[string, string | BlobLike]>) {
    pieces.push(`--${boundary}\r\n`, ...(await partOf(name, value)), "\r\n")
  }
  pieces.push(`--${boundary}--\r\n`)
  return {
    bytes: Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece))),
    contentType: `multipart/form-data; boundary=${boundary}`
  }
}
