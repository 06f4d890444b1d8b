/**
 * Stream of the parts of a form. A form is read on demand: for the next part, or for the content of a file. Pulling the next
 * part skips the file before it.
 *
 * Why not `Multipart.makeChannel`: it buffers a whole file that nothing reads, and if a form ends within a file, it waits for
 * the rest in a loop until the request ends.
 */
import * as Multipart from "@effect/platform/Multipart"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Signal } from "../runtime/effectInterop.js"
import { ByteBuffer } from "./byteBuffer.js"
import { Field, File, type FileSource, formError, lostError, type Part, type Pull } from "./formPart.js"
import { parseContentType } from "./mediaParameters.js"
import { isBoundary, MultipartParser } from "./multipartParser.js"
import { describePart, FormCharset, type FormConfig, isFileByDefault, type PartInfo } from "./partInfo.js"

type MultipartError = Multipart.MultipartError

/** Default maximum of parts: that of Go, Django, PHP and Werkzeug. */
const defaultMaxParts = 1000

/**
 * Maximum of buffered bytes of skipped files, for reads after the next part was pulled: about one read of the body. Small
 * files can be read later, larger ones cannot.
 */
const maxSkipped = 1024 * 1024

/** Maximum of bytes for one pull of a file's content. */
const maxPull = 64 * 1024

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The received value of a field. */
class FieldContent {
  readonly bytes = new ByteBuffer()

  constructor(readonly info: PartInfo) {}
}

/** The received content of a file that has not been read yet. */
class FileContent {
  pieces: Array<Uint8Array> = []
  /** Bytes in `pieces`. */
  held = 0
  size = 0
  isWhole = false
  /** The fiber that reads it: the last one that pulled, until its stream is closed. */
  reader: AnyFiber | undefined
  /** Why the rest is not available. */
  loss: string | undefined

  constructor(readonly info: PartInfo) {}
}

interface FormOptions {
  readonly config: FormConfig
  readonly boundary: string
  /** Whether parts must have a name, as those of `multipart/form-data`. */
  readonly isFormData: boolean
  readonly pull: Pull<Uint8Array>
  readonly keep: FileSource["keep"]
}

class Form {
  private readonly parser: MultipartParser
  private readonly charset = new FormCharset()
  /** Pieces of the body that are not parsed yet. */
  private body: Array<Uint8Array> = []
  private bodySize = 0
  private parts: Array<Part> = []
  private partCount = 0
  private current: FieldContent | FileContent | undefined
  /** Buffered bytes of files. */
  private held = 0
  private isWhole = false
  private failure: MultipartError | undefined
  private isReading = false
  private readonly changed = new Signal()

  constructor(private readonly options: FormOptions) {
    this.parser = new MultipartParser(options.boundary)
  }

  /** The next parts: the fields that have arrived, up to the next file. */
  readonly pullParts: Pull<Part> = Effect.withFiberRuntime((consumer) => {
    const next: Pull<Part> = Effect.suspend(() => {
      this.readParts(consumer)
      const { parts } = this
      if (parts.length > 0) {
        this.parts = []
        return Effect.succeed(Chunk.unsafeFromArray(parts))
      }
      if (this.failure !== undefined) return Effect.fail(Option.some(this.failure))
      if (this.isWhole) return Effect.fail(Option.none())
      const reader = this.readerBefore(consumer)
      return Effect.zipRight(reader === undefined ? this.readMore : this.waitFor(reader), next)
    })
    // Yields first, so that a fiber that was forked for the previous file can begin to read it.
    return this.current === undefined ? next : Effect.zipRight(Effect.yieldNow(), next)
  })

  /** Discards the unread rest when the stream of parts ends. */
  readonly close: Effect.Effect<void> = Effect.sync(() => {
    if (this.current instanceof FileContent) this.lose(this.current, "was not read before the stream of parts ended")
    this.current = undefined
    this.body = []
    this.changed.wake()
  })

  private pullContent(file: FileContent): Pull<Uint8Array> {
    return Effect.withFiberRuntime((fiber) => {
      file.reader = fiber
      const next: Pull<Uint8Array> = Effect.suspend(() => {
        while (this.current === file && file.held < maxPull && this.failure === undefined && this.step(undefined)) {}
        if (file.held > 0) return Effect.succeed(Chunk.of(this.take(file)))
        if (file.loss !== undefined) return Effect.fail(Option.some(lostError(file.info, file.loss)))
        if (file.isWhole) return Effect.fail(Option.none())
        if (this.failure !== undefined) return Effect.fail(Option.some(this.failure))
        return Effect.zipRight(this.readMore, next)
      })
      return next
    })
  }

  private take(file: FileContent): Uint8Array {
    const { pieces } = file
    this.held -= file.held
    file.held = 0
    file.pieces = []
    this.changed.wake()
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  private lose(file: FileContent, loss: string): void {
    this.held -= file.held
    file.held = 0
    file.pieces = []
    file.loss ??= loss
  }

  private release(file: FileContent): Effect.Effect<void> {
    return Effect.sync(() => {
      file.reader = undefined
      this.lose(file, "has been read before")
      this.changed.wake()
    })
  }

  /**
   * Whether a file is being read by a fiber other than the consumer of the parts. The consumer itself would deadlock on a file
   * that it has left half read, as it would on a fiber that has ended without closing its stream.
   */
  private isRead({ reader }: FileContent, consumer: AnyFiber | undefined): boolean {
    return reader !== undefined && reader !== consumer && reader.unsafePoll() === null
  }

  /** The fiber that must take the bytes of a file before the next part is parsed. */
  private readerBefore(consumer: AnyFiber): AnyFiber | undefined {
    const { current } = this
    if (!(current instanceof FileContent) || current.held === 0) return undefined
    return this.isRead(current, consumer) ? current.reader : undefined
  }

  /** Suspends until a fiber may have read more, or has ended. */
  private waitFor(reader: AnyFiber): Effect.Effect<void> {
    const wait = this.changed.waitOrLeave()
    const wake = () => this.changed.wake()
    reader.addObserver(wake)
    return Effect.ensuring(
      wait,
      Effect.sync(() => reader.removeObserver(wake))
    )
  }

  private readParts(consumer: AnyFiber): void {
    while (this.failure === undefined && !this.isWhole && this.readerBefore(consumer) === undefined) {
      if (this.parts[this.parts.length - 1]?._tag === "File" || !this.step(consumer)) return
    }
  }

  /** Processes one event of the received input; false if there is none. */
  private step(consumer: AnyFiber | undefined): boolean {
    const event = this.parser.next()
    if (event === "NeedMore") {
      const piece = this.body.shift()
      if (piece !== undefined) this.parser.feed(piece)
      return piece !== undefined
    }
    switch (event._tag) {
      case "Part":
        this.beginPart(describePart(event.fields, this.charset, this.options.isFormData))
        break
      case "Data":
        if (this.current instanceof FieldContent) this.addToField(this.current, event.bytes)
        else if (this.current !== undefined) this.addToFile(this.current, event.bytes, consumer)
        break
      case "PartEnd":
        this.endPart()
        break
      case "End":
        this.isWhole = true
        break
      case "Malformed":
        this.fail(formError(event.reason === "Syntax" ? "Parse" : "FieldTooLarge", event.message))
    }
    return true
  }

  private fail(error: MultipartError): void {
    this.failure ??= error
  }

  private beginPart(info: PartInfo | string): void {
    const { isFile = isFileByDefault, maxParts = Number.POSITIVE_INFINITY } = this.options.config
    if (++this.partCount > maxParts) {
      this.fail(formError("TooManyParts", `the form has more than ${maxParts} parts`))
    } else if (typeof info === "string") {
      this.fail(formError("Parse", info))
    } else if (isFile(info)) {
      const content = new FileContent(info)
      this.current = content
      const { keep } = this.options
      this.parts.push(new File(info, { pull: this.pullContent(content), release: this.release(content), keep }))
    } else this.current = new FieldContent(info)
  }

  private addToField({ bytes, info }: FieldContent, piece: Uint8Array): void {
    const { maxFieldSize = Number.POSITIVE_INFINITY } = this.options.config
    if (bytes.length + piece.length <= maxFieldSize) bytes.add(piece)
    else this.fail(formError("FieldTooLarge", `the field ${JSON.stringify(info.name)} is over ${maxFieldSize} bytes`))
  }

  private addToFile(file: FileContent, piece: Uint8Array, consumer: AnyFiber | undefined): void {
    const { maxPartSize: maxFileSize = Number.POSITIVE_INFINITY } = this.options.config
    file.size += piece.length
    if (file.size > maxFileSize) {
      const name = JSON.stringify(file.info.filename ?? file.info.name)
      this.fail(formError("FileTooLarge", `the file ${name} is over ${maxFileSize} bytes`))
    } else if (this.isRead(file, consumer)) this.hold(file, piece)
    else if (this.held + piece.length > maxSkipped) this.lose(file, "was skipped")
    // A copy, since the bytes may be kept for long, and must not retain the buffer in which they arrived.
    else if (file.loss === undefined) this.hold(file, Uint8Array.from(piece))
  }

  private hold(file: FileContent, piece: Uint8Array): void {
    file.pieces.push(piece)
    file.held += piece.length
    this.held += piece.length
  }

  private endPart(): void {
    const { current } = this
    this.current = undefined
    if (current instanceof FileContent) current.isWhole = true
    else if (current !== undefined) this.endField(current)
  }

  private endField({ bytes, info }: FieldContent): void {
    const value = this.charset.decode(bytes.take(), info.contentTypeParameters.charset)
    if (info.name === "_charset_") this.charset.setDefault(value)
    this.parts.push(new Field(info.name, info.contentType, value))
  }

  /** Reads more of the body, one fiber at a time; other fibers wait for its result. */
  private readonly readMore: Effect.Effect<void> = Effect.acquireUseRelease(
    Effect.sync(() => {
      if (this.isReading) return this.changed.waitOrLeave()
      this.isReading = true
      return undefined
    }),
    (wait) => wait ?? this.readBody,
    (wait) =>
      Effect.sync(() => {
        if (wait !== undefined) return
        this.isReading = false
        this.changed.wake()
      })
  )

  private get readBody(): Effect.Effect<void> {
    return Effect.match(this.options.pull, {
      onSuccess: (pieces) => this.receive(pieces),
      onFailure: (end) => {
        const error = Option.getOrUndefined(end)
        const malformed = error === undefined ? this.parser.end() : undefined
        if (error !== undefined) this.fail(error)
        else if (malformed !== undefined) this.fail(formError("Parse", malformed.message))
      }
    })
  }

  private receive(pieces: Chunk.Chunk<Uint8Array>): void {
    const { maxTotalSize = Number.POSITIVE_INFINITY } = this.options.config
    for (const piece of pieces) {
      this.bodySize += piece.length
      this.body.push(piece)
    }
    if (this.bodySize > maxTotalSize) this.fail(formError("BodyTooLarge", `the form is over ${maxTotalSize} bytes`))
  }
}

const withDefaults = (headers: Record<string, string>): Effect.Effect<FormConfig> =>
  Effect.flatMap(Effect.context<never>(), ({ unsafeMap }) =>
    Effect.map(Multipart.makeConfig(headers), (config) =>
      unsafeMap.has(Multipart.MaxParts.key) ? config : { ...config, maxParts: defaultMaxParts }
    )
  )

/** The parts of a form, with the limits in the context. `keep` counts the buffered bytes of files. */
export const partsOf = (
  bytes: Stream.Stream<Uint8Array, MultipartError>,
  headers: Record<string, string>,
  keep: FileSource["keep"]
): Stream.Stream<Part, MultipartError> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const type = parseContentType(headers["content-type"] ?? "")
      const boundary = type?.parameters.get("boundary")
      if (type?.value.startsWith("multipart/") !== true || !isBoundary(boundary)) {
        return Stream.fail(formError("Parse", "the Content-Type is not multipart with a boundary"))
      }
      const config = yield* withDefaults(headers)
      const pull = yield* Stream.toPull(bytes)
      const form = new Form({ config, boundary, isFormData: type.value === "multipart/form-data", pull, keep })
      yield* Effect.addFinalizer(() => form.close)
      return Stream.repeatEffectChunkOption(form.pullParts)
    })
  )
