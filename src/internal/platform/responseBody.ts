/**
 * The content of responses that comes from outside of Effect: streams of Node and of the web, `Response`s, blobs, forms.
 *
 * Whatever is given as content is closed: by its stream when that has run, and by `close` when it was not run. Objects are
 * known by what they can do and not by their class: they may be of another realm, or of another package.
 *
 * @internal
 */
import { Readable } from "node:stream"
import type * as HttpBody from "@effect/platform/HttpBody"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isArrayBuffer, isUint8Array } from "../host/realm.js"
import { interruptAsFork, Signal } from "../runtime/effectInterop.js"

/** Content, once it is known how it is sent. */
export type Content =
  | { readonly _tag: "Whole"; readonly bytes: string | Uint8Array }
  | {
      readonly _tag: "Stream"
      readonly stream: Stream.Stream<Uint8Array, unknown>
      /** Lets go of the source of a stream that was not run. */
      readonly close: () => void
    }

const whole = (bytes: string | Uint8Array): Content => ({ _tag: "Whole", bytes })

const nothing = (): void => {}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const canDo = <Name extends string>(value: object, name: Name): value is { readonly [_ in Name]: () => unknown } =>
  name in value && typeof (value as { readonly [_ in Name]: unknown })[name] === "function"

const encoder = new TextEncoder()

/** Bytes as this realm has them; `undefined` for what is none. */
const viewed = (value: unknown): Uint8Array | undefined => {
  if (isUint8Array(value)) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return isArrayBuffer(value) ? new Uint8Array(value) : undefined
}

const bytesOf = (chunk: unknown): Uint8Array => {
  if (typeof chunk === "string") return encoder.encode(chunk)
  const bytes = viewed(chunk)
  if (bytes === undefined) throw new TypeError("a stream of a response gives strings and Uint8Arrays")
  return bytes
}

const isReadableStream = (value: object): value is ReadableStream<unknown> =>
  canDo(value, "getReader") && canDo(value, "cancel")

/** Cancels a stream. It is not waited for: a source whose cancellation never ends must not hold up the request. */
const cancel = (stream: { readonly cancel: () => Promise<void> }): void => {
  stream.cancel().catch(nothing)
}

/** Reads a web stream, and cancels it when the reading ends. A stream that has ended already ignores that. */
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

/** Anything with a `pipe` is a readable of Node, old or new, or is meant to be one. */
const isReadable = (value: object): value is NodeJS.ReadableStream => canDo(value, "pipe")

/** Ends a readable, by what it has for that: those of before Node 0.10, and what imitates them, may have `close` only. */
const end = (readable: NodeJS.ReadableStream): void => {
  readable.on("error", nothing)
  if (canDo(readable, "destroy")) readable.destroy()
  else if (canDo(readable, "close")) readable.close()
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
 * Reads it as fast as it is asked for, by its events: an iterator of its own would wait for what nothing else can end. It is
 * listened to from now on, since an error that nothing listens for ends the process.
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
    if (readable.destroyed) return Effect.fail(Option.some(new Error("a stream was destroyed before its end")))
    return Effect.zipRight(changed.waitOrLeave(), next)
  })
  const close = (): void => {
    end(readable)
    // What wraps a readable does not end it.
    if (readable !== source) end(source)
  }
  return { _tag: "Stream", stream: Stream.ensuring(Stream.repeatEffectChunkOption(next), Effect.sync(close)), close }
}

interface BlobLike {
  readonly stream: () => ReadableStream<unknown>
}

const isBlob = (value: object): value is BlobLike => canDo(value, "stream") && canDo(value, "arrayBuffer")

interface ResponseLike {
  readonly body: ReadableStream<unknown> | null
}

const isResponse = (value: object): value is ResponseLike => "body" in value && "bodyUsed" in value

/** The body of `HttpServerResponse.raw`: a readable of Node, a web stream or `Response`, a blob, text, bytes. */
export const rawContent = (body: unknown): Content => {
  if (body === null || body === undefined) return whole("")
  if (typeof body === "string") return whole(body)
  const bytes = viewed(body)
  if (bytes !== undefined) return whole(bytes)
  if (isObject(body)) {
    if (isReadableStream(body)) return webContent(body)
    if (isReadable(body)) return readableContent(body)
    if (isResponse(body)) return body.body === null ? whole("") : webContent(body.body)
    if (isBlob(body)) return { _tag: "Stream", stream: fromWeb(() => body.stream()), close: nothing }
  }
  throw new TypeError("a raw response is a stream, a Response, a Blob, a string or bytes")
}

/** A form, and the type that names its boundary. */
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
 * Whether a stream opens a scope before all else, as that of `HttpServerResponse.fromWeb` does. Effect has no predicate for
 * that: this is the structure of `Stream.unwrapScoped`, and of what is piped from it, in version 3. Any other stream is left
 * alone.
 */
const opensScope = (stream: Stream.Stream<Uint8Array, unknown>): boolean => {
  // The type of a channel does not tell what it is made of.
  let channel = Stream.toChannel(stream) as unknown as Shape
  while (channel._tag === "PipeTo" && channel.left !== undefined) channel = channel.left()
  return channel._tag === "ConcatAll" && channel.value?.()._tag === "Ensuring"
}

/** Begins a stream, and ends it at once. */
const openAndClose = (stream: Stream.Stream<Uint8Array, unknown>): void => {
  const opened = Effect.scoped(Effect.flatten(Stream.toPull(stream)))
  interruptAsFork(Effect.runFork(Effect.catchAllCause(opened, () => Effect.void)))
}

/**
 * Closes what a stream that is not run may hold. That is nothing, unless it was open before: the body of a fetched
 * `Response` is, and only the scope of its stream can reach it.
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
  else if (isReadable(body)) end(body)
  else if (isResponse(body)) closeSource(body.body)
}

/** Lets go of what a body holds that is not sent. */
export const discard = (body: HttpBody.HttpBody): void => {
  if (body._tag === "Raw") closeSource(body.body)
  else if (body._tag === "Stream") closeStream(body.stream)
}

/** The same for a body that another was sent instead of. That one may have been made of its stream, and have run it. */
export const discardReplaced = (body: HttpBody.HttpBody, sent: HttpBody.HttpBody): void => {
  if (body._tag === "Raw" || sent._tag !== "Stream") discard(body)
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
