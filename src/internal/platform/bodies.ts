/**
 * Bodies that come from outside of Effect, as streams: files and other readables of Node, web streams, blobs, forms.
 *
 * @internal
 */
import { Readable } from "node:stream"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Signal } from "../runtime.js"

/** What a body is, once it is known how it is sent. */
export type Content =
  | { readonly _tag: "Whole"; readonly bytes: string | Uint8Array }
  | { readonly _tag: "Stream"; readonly stream: Stream.Stream<Uint8Array, unknown> }

const whole = (bytes: string | Uint8Array): Content => ({ _tag: "Whole", bytes })

const streamed = (stream: Stream.Stream<Uint8Array, unknown>): Content => ({ _tag: "Stream", stream })

const identity = (cause: unknown): unknown => cause

const fromWeb = (stream: ReadableStream<Uint8Array> | null): Content =>
  stream === null ? whole("") : streamed(Stream.fromReadableStream(() => stream, identity))

const encoder = new TextEncoder()

const bytesOf = (chunk: unknown): Uint8Array => {
  if (chunk instanceof Uint8Array) return chunk
  if (typeof chunk === "string") return encoder.encode(chunk)
  throw new TypeError("a stream of a response gives strings and Uint8Arrays")
}

/** So many pieces are taken at once: one that always has more lets others have a turn. */
const maxPieces = 16

const take = (readable: Readable): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  while (pieces.length < maxPieces) {
    const piece: unknown = readable.read()
    if (piece === null) break
    pieces.push(bytesOf(piece))
  }
  return pieces
}

/**
 * Reads it as fast as it is asked for. It is listened to from now on, and no iterator of its own is asked: what one of
 * those waits for, nobody else can end.
 */
const fromReadable = (readable: Readable): Stream.Stream<Uint8Array, unknown> => {
  const changed = new Signal()
  for (const event of ["readable", "end", "error", "close"]) readable.on(event, () => changed.wake())
  const next: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<unknown>> = Effect.suspend(() => {
    const pieces = take(readable)
    if (pieces.length > 0) return Effect.succeed(Chunk.unsafeFromArray(pieces))
    if (readable.errored !== null) return Effect.fail(Option.some(readable.errored))
    if (readable.readableEnded) return Effect.fail(Option.none())
    if (readable.destroyed) return Effect.fail(Option.some(new Error("a stream was destroyed before its end")))
    return Effect.zipRight(changed.waitOrLeave(), next)
  })
  return Stream.repeatEffectChunkOption(next)
}

/** Anything with a `pipe` is a readable of Node's, old or new, or of somebody who means to be one. */
const isReadable = (body: object): body is NodeJS.ReadableStream => "pipe" in body && typeof body.pipe === "function"

const asReadable = (body: NodeJS.ReadableStream): Readable =>
  body instanceof Readable ? body : new Readable().wrap(body)

/** The body of `HttpServerResponse.raw`: a readable of Node, a web stream or `Response`, a blob, text, bytes. */
export const rawContent = (body: unknown): Content => {
  if (body === null || body === undefined) return whole("")
  if (typeof body === "string" || body instanceof Uint8Array) return whole(body)
  if (body instanceof ArrayBuffer) return whole(new Uint8Array(body))
  if (body instanceof ReadableStream) return fromWeb(body)
  if (body instanceof Response) return fromWeb(body.body)
  if (body instanceof Blob) return fromWeb(body.stream())
  if (typeof body === "object" && isReadable(body)) return streamed(fromReadable(asReadable(body)))
  throw new TypeError("a raw response is a stream, a Response, a Blob, a string or bytes")
}

/** A form, and the type that names its boundary. */
export const formContent = (form: FormData): { readonly content: Content; readonly contentType: string } => {
  const response = new Response(form)
  return { content: fromWeb(response.body), contentType: response.headers.get("content-type") ?? "" }
}

/** Lets go of what a body holds, if it is not to be sent: a file that was opened stays open otherwise. */
export const discard = (body: unknown): void => {
  if (typeof body !== "object" || body === null) return
  if (body instanceof ReadableStream) body.cancel().catch(() => {})
  else if (body instanceof Response) discard(body.body)
  else if (isReadable(body))
    asReadable(body)
      .on("error", () => {})
      .destroy()
}

/** So many bytes of a stream, and no more: what was announced is what is sent. */
export const upTo = <E>(stream: Stream.Stream<Uint8Array, E>, most: number): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    let left = most
    const cut = (bytes: Uint8Array): Uint8Array => {
      const piece = bytes.length <= left ? bytes : bytes.subarray(0, left)
      left -= piece.length
      return piece
    }
    // Of chunks, not of pieces: all pieces of a chunk are cut before the first of them is looked at.
    const chunks = Stream.map(Stream.chunks(stream), Chunk.map(cut))
    return Stream.flattenChunks(Stream.takeUntil(chunks, () => left <= 0))
  })
