/**
 * Response content from outside of Effect: streams of Node and of the web, `Response`s, blobs, forms.
 *
 * All content is closed: by its stream when that has run, and by `close` if it was not run. Objects are recognized by their
 * methods instead of their class: they may be of another realm, or of another package.
 */
import { Readable } from "node:stream"
import type * as HttpBody from "@effect/platform/HttpBody"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isArrayBuffer, isUint8Array } from "../host/realm.js"
import { interruptAsFork, runForkLikeCurrent, Signal } from "../runtime/effectInterop.js"

export type Content =
  | { readonly _tag: "Whole"; readonly bytes: string | Uint8Array }
  | {
      readonly _tag: "Stream"
      readonly stream: Stream.Stream<Uint8Array, unknown>
      /** Closes the source of a stream that was not run. */
      readonly close: () => void
    }

const whole = (bytes: string | Uint8Array): Content => ({ _tag: "Whole", bytes })

const nothing = (): void => {}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const hasMethod = <Name extends string>(value: object, name: Name): value is { readonly [_ in Name]: () => unknown } =>
  name in value && typeof (value as { readonly [_ in Name]: unknown })[name] === "function"

const encoder = new TextEncoder()

/** Any binary value as a `Uint8Array`; `undefined` for other values. */
const toBytes = (value: unknown): Uint8Array | undefined => {
  if (isUint8Array(value)) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return isArrayBuffer(value) ? new Uint8Array(value) : undefined
}

const bytesOf = (chunk: unknown): Uint8Array => {
  if (typeof chunk === "string") return encoder.encode(chunk)
  const bytes = toBytes(chunk)
  if (bytes === undefined) throw new TypeError("the chunks of a response stream must be strings or Uint8Arrays")
  return bytes
}

const isReadableStream = (value: object): value is ReadableStream<unknown> =>
  hasMethod(value, "getReader") && hasMethod(value, "cancel")

/** Cancels a stream without waiting: a source whose cancellation never completes must not block the request. */
const cancel = (stream: { readonly cancel: () => Promise<void> }): void => {
  stream.cancel().catch(nothing)
}

/** Reads a web stream, and cancels it at the end, which is a no-op for a stream that has ended. */
const fromWeb = (open: () => ReadableStream<unknown>): Stream.Stream<Uint8Array, unknown> =>
  Stream.unwrapScoped(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => open().getReader()),
        (reader) => Effect.sync(() => cancel(reader))
      ),
      (reader) =>
        Stream.repeatEffectOption(
          Effect.flatMap(Effect.tryPromise({ try: () => reader.read(), catch: Option.some }), ({ done, value }) =>
            done ? Effect.fail(Option.none()) : Effect.sync(() => bytesOf(value))
          )
        )
    )
  )

const webContent = (stream: ReadableStream<unknown>): Content => ({
  _tag: "Stream",
  stream: fromWeb(() => stream),
  close: () => cancel(stream)
})

/** Anything with `pipe` is treated as a readable of Node. */
const isReadable = (value: object): value is NodeJS.ReadableStream => hasMethod(value, "pipe")

/** Destroys a readable. Those of before Node 0.10, and their imitations, may have `close` only. */
const destroy = (readable: NodeJS.ReadableStream): void => {
  readable.on("error", nothing)
  if (hasMethod(readable, "destroy")) readable.destroy()
  else if (hasMethod(readable, "close")) readable.close()
}

/** Maximum of pieces per pull, so that a source that always has more does not block the event loop. */
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
 * Reads a readable on demand, by its events: a pending step of its async iterator could not be interrupted. The listeners are
 * added at once, since an `error` event without a listener ends the process.
 */
const readableContent = (source: NodeJS.ReadableStream): Content => {
  const readable = source instanceof Readable ? source : new Readable().wrap(source)
  const changed = new Signal()
  for (const event of ["readable", "end", "error", "close"]) readable.on(event, () => changed.wake())
  const next: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<unknown>> = Effect.suspend(() => {
    const pieces = take(readable)
    if (pieces.length > 0) return Effect.succeed(Chunk.unsafeFromArray(pieces))
    if (readable.errored !== null) return Effect.fail(Option.some(readable.errored))
    if (readable.readableEnded) return Effect.fail(Option.none())
    if (readable.destroyed) return Effect.fail(Option.some(new Error("the stream was destroyed before its end")))
    return Effect.zipRight(changed.waitOrLeave(), next)
  })
  const close = (): void => {
    destroy(readable)
    // A wrapper does not destroy its source.
    if (readable !== source) destroy(source)
  }
  return { _tag: "Stream", stream: Stream.ensuring(Stream.repeatEffectChunkOption(next), Effect.sync(close)), close }
}

interface BlobLike {
  readonly stream: () => ReadableStream<unknown>
}

const isBlob = (value: object): value is BlobLike => hasMethod(value, "stream") && hasMethod(value, "arrayBuffer")

interface ResponseLike {
  readonly body: ReadableStream<unknown> | null
}

const isResponse = (value: object): value is ResponseLike => "body" in value && "bodyUsed" in value

/** The body of `HttpServerResponse.raw`: a readable of Node, a web stream or `Response`, a blob, text, bytes. */
export const rawContent = (body: unknown): Content => {
  if (body === null || body === undefined) return whole("")
  if (typeof body === "string") return whole(body)
  const bytes = toBytes(body)
  if (bytes !== undefined) return whole(bytes)
  if (isObject(body)) {
    if (isReadableStream(body)) return webContent(body)
    if (isReadable(body)) return readableContent(body)
    if (isResponse(body)) return body.body === null ? whole("") : webContent(body.body)
    if (isBlob(body)) return { _tag: "Stream", stream: fromWeb(() => body.stream()), close: nothing }
  }
  throw new TypeError("the body of a raw response must be a stream, a Response, a Blob, a string or bytes")
}

/** The content of a form, and its Content-Type with the boundary. */
export const formContent = (form: FormData): { readonly content: Content; readonly contentType: string } => {
  const response = new Response(form)
  return { content: rawContent(response), contentType: response.headers.get("content-type") ?? "" }
}

interface Shape {
  readonly _tag: unknown
  readonly left?: () => Shape
  readonly value?: () => Shape
}

/**
 * Whether a stream begins with opening a scope, as that of `HttpServerResponse.fromWeb` does. Effect has no predicate for
 * that: this checks the structure of `Stream.unwrapScoped`, and of streams piped from it, in version 3.
 */
const opensScope = (stream: Stream.Stream<Uint8Array, unknown>): boolean => {
  // The type of a channel does not expose its structure.
  let channel = Stream.toChannel(stream) as unknown as Shape
  while (channel._tag === "PipeTo" && channel.left !== undefined) channel = channel.left()
  return channel._tag === "ConcatAll" && channel.value?.()._tag === "Ensuring"
}

const openAndClose = (stream: Stream.Stream<Uint8Array, unknown>): void => {
  const opened = Effect.scoped(Effect.flatten(Stream.toPull(stream)))
  interruptAsFork(runForkLikeCurrent(Effect.catchAllCause(opened, () => Effect.void)))
}

/**
 * Releases resources of a stream that is not run. Only a stream over an open resource has any, such as the body of a fetched
 * `Response`, which is accessible only through the scope of its stream.
 */
const closeStream = (stream: Stream.Stream<Uint8Array, unknown>): void => {
  if (opensScope(stream)) openAndClose(stream)
}

export const streamContent = (stream: Stream.Stream<Uint8Array, unknown>): Content => ({
  _tag: "Stream",
  stream,
  close: () => closeStream(stream)
})

const closeSource = (body: unknown): void => {
  if (!isObject(body)) return
  if (isReadableStream(body)) cancel(body)
  else if (isReadable(body)) destroy(body)
  else if (isResponse(body)) closeSource(body.body)
}

/** Releases the resources of a body that is not sent. */
export const discard = (body: HttpBody.HttpBody): void => {
  if (body._tag === "Raw") closeSource(body.body)
  else if (body._tag === "Stream") closeStream(body.stream)
}

/** Releases a body that was replaced by another. If that is a stream, it may be derived from this one, and have run it. */
export const discardReplaced = (body: HttpBody.HttpBody, sent: HttpBody.HttpBody): void => {
  if (body._tag === "Raw" || sent._tag !== "Stream") discard(body)
}

/** The first `max` bytes of a stream. */
export const upTo = <E>(stream: Stream.Stream<Uint8Array, E>, max: number): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    let left = max
    const cut = (bytes: Uint8Array): Uint8Array => {
      const piece = bytes.length <= left ? bytes : bytes.subarray(0, left)
      left -= piece.length
      return piece
    }
    // By chunks: all pieces of a chunk are truncated before the first is emitted.
    const chunks = Stream.map(Stream.chunks(stream), Chunk.map(cut))
    return Stream.flattenChunks(Stream.takeUntil(chunks, () => left <= 0))
  })
