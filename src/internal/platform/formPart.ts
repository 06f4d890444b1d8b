/** Parts of a form, as those of `@effect/platform`: fields with a value, and files whose content is a stream. */
import * as Multipart from "@effect/platform/Multipart"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ByteBuffer } from "./byteBuffer.js"
import { respondable } from "./failures.js"
import type { PartInfo } from "./partInfo.js"

type MultipartError = Multipart.MultipartError

/** The next elements of a stream, its failure, or its end. */
export type Pull<A> = Effect.Effect<Chunk.Chunk<A>, Option.Option<MultipartError>>

export const formError = (reason: MultipartError["reason"], message: string): MultipartError =>
  respondable(new Multipart.MultipartError({ reason, cause: new Error(message) }))

/** The content of a file is no longer available: an error of the application. */
export const lostError = ({ filename, name }: PartInfo, how: string): MultipartError =>
  formError("InternalError", `the content of the file ${JSON.stringify(filename ?? name)} ${how}`)

abstract class FormPart extends Inspectable.Class {
  readonly [Multipart.TypeId]: Multipart.TypeId = Multipart.TypeId
}

export class Field extends FormPart implements Multipart.Field {
  readonly _tag = "Field"

  constructor(
    readonly key: string,
    readonly contentType: string,
    readonly value: string
  ) {
    super()
  }

  toJSON(): unknown {
    const { _tag, contentType, key, value } = this
    return { _id: "@effect/platform/Multipart/Part", _tag, key, contentType, value }
  }
}

/** Source of the content of a file. */
export interface FileSource {
  readonly pull: Pull<Uint8Array>
  /** Ends the reading. */
  readonly release: Effect.Effect<void>
  /** Counts bytes that are buffered by a reader of the whole content. */
  readonly keep: (bytes: number) => void
}

/** Consecutive bytes of a file. */
export interface Block {
  readonly bytes: Uint8Array
  readonly isLast: boolean
}

export class File extends FormPart implements Multipart.File {
  readonly _tag = "File"
  readonly key: string
  readonly name: string
  readonly contentType: string
  private isBegun = false

  constructor(
    private readonly info: PartInfo,
    readonly source: FileSource
  ) {
    super()
    this.key = info.name
    this.name = info.filename ?? info.name
    this.contentType = info.contentType
  }

  /** Can be run once: a second run would begin where the first has ended. */
  get content(): Stream.Stream<Uint8Array, MultipartError> {
    return Stream.suspend(() => {
      if (!this.begin()) return Stream.fail(this.readBefore)
      return Stream.ensuring(Stream.repeatEffectChunkOption(this.source.pull), this.source.release)
    })
  }

  /** The whole content, without a stream, whose cost would dominate that of a small file. */
  get contentEffect(): Effect.Effect<Uint8Array, MultipartError> {
    return Effect.suspend(() => {
      if (!this.begin()) return Effect.fail(this.readBefore)
      return Effect.ensuring(
        Effect.map(this.read(Number.POSITIVE_INFINITY, this.source.keep), ({ bytes }) => bytes),
        this.source.release
      )
    })
  }

  /** The next bytes, at least so many unless they are the last. */
  read(least: number, keep: FileSource["keep"] = () => {}): Effect.Effect<Block, MultipartError> {
    return Effect.suspend(() => {
      const bytes = new ByteBuffer()
      const next: Effect.Effect<Block, MultipartError> = Effect.matchEffect(this.source.pull, {
        onFailure: (end) =>
          Option.isSome(end) ? Effect.fail(end.value) : Effect.sync(() => ({ bytes: bytes.take(), isLast: true })),
        onSuccess: (pieces) => {
          for (const piece of pieces) {
            bytes.add(piece)
            keep(piece.length)
          }
          return bytes.length < least ? next : Effect.sync(() => ({ bytes: bytes.take(), isLast: false }))
        }
      })
      return next
    })
  }

  private begin(): boolean {
    if (this.isBegun) return false
    this.isBegun = true
    return true
  }

  private get readBefore(): MultipartError {
    return lostError(this.info, "has been read before")
  }

  toJSON(): unknown {
    const { _tag, contentType, key, name } = this
    return { _id: "@effect/platform/Multipart/Part", _tag, key, name, contentType }
  }
}

export type Part = Field | File
