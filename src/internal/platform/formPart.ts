/**
 * The parts of a form as `@effect/platform` has them: fields, whose value is known, and files, whose content is read.
 *
 * @internal
 */
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

/** Content that is asked for when there is none to give any more: the application's mistake. */
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

/** Where the content of a file comes from. */
export interface FileSource {
  readonly pull: Pull<Uint8Array>
  /** Nothing more of it is read. */
  readonly release: Effect.Effect<void>
  /** Counts bytes that whatever reads it whole keeps. */
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
  private isTaken = false

  constructor(
    private readonly info: PartInfo,
    readonly source: FileSource
  ) {
    super()
    this.key = info.name
    this.name = info.filename ?? info.name
    this.contentType = info.contentType
  }

  /** Can be run once: a second run would begin where the first one has ended. */
  get content(): Stream.Stream<Uint8Array, MultipartError> {
    return Stream.suspend(() => {
      if (!this.begin()) return Stream.fail(this.readBefore)
      return Stream.ensuring(Stream.repeatEffectChunkOption(this.source.pull), this.source.release)
    })
  }

  /** The content whole, without a stream: to run one costs more than all else that a small file takes. */
  get contentEffect(): Effect.Effect<Uint8Array, MultipartError> {
    return Effect.suspend(() => {
      if (!this.begin()) return Effect.fail(this.readBefore)
      return Effect.ensuring(
        Effect.map(this.read(Number.POSITIVE_INFINITY, this.source.keep), ({ bytes }) => bytes),
        this.source.release
      )
    })
  }

  /** The next bytes: so many at least, unless they are the last. */
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
    if (this.isTaken) return false
    this.isTaken = true
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
