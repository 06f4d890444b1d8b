/**
 * The parts of a form, as they come: `Multipart.makeChannel`, but for forms that are not whole.
 *
 * With that one a file whose end never comes, because a limit was reached in it or the body has ended, is waited for by a
 * loop that ends with the request only, and a request that is waited for by its client has no reason to end. Here whoever
 * reads the file is told what has failed, and at once.
 *
 * @internal
 */
import * as Multipart from "@effect/platform/Multipart"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Multipasta from "multipasta"
import { makeVisible, visible } from "../visible.js"
import { answered } from "./failures.js"

type MultipartError = Multipart.MultipartError

abstract class FormPart extends Inspectable.Class {
  readonly [Multipart.TypeId]: Multipart.TypeId = Multipart.TypeId
}

class Field extends FormPart implements Multipart.Field {
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

class File extends FormPart implements Multipart.File {
  readonly _tag = "File"
  readonly key: string
  readonly name: string
  readonly contentType: string

  constructor(
    info: Multipasta.PartInfo,
    readonly content: Stream.Stream<Uint8Array, MultipartError>
  ) {
    super()
    this.key = info.name
    this.name = info.filename ?? info.name
    this.contentType = info.contentType
  }

  get contentEffect(): Effect.Effect<Uint8Array, MultipartError> {
    return Effect.map(Stream.runCollect(this.content), (pieces) => new Uint8Array(Buffer.concat([...pieces])))
  }

  toJSON(): unknown {
    const { _tag, contentType, key, name } = this
    return { _id: "@effect/platform/Multipart/Part", _tag, key, name, contentType }
  }
}

const reasons = {
  MaxParts: "TooManyParts",
  MaxFieldSize: "FieldTooLarge",
  MaxPartSize: "FileTooLarge",
  MaxTotalSize: "BodyTooLarge"
} as const

const errorOf = (cause: Multipasta.MultipartError): MultipartError =>
  new Multipart.MultipartError({ reason: cause._tag === "ReachedLimit" ? reasons[cause.limit] : "Parse", cause })

/** What is there to be taken, and whether more comes behind it. */
interface Inbox<A> {
  items: Array<A>
  isWhole: boolean
}

/** One form that is being read: whoever waits for something of it reads on, for all of it. */
class Form {
  readonly parts: Inbox<Multipart.Part> = { items: [], isWhole: false }
  private failure: MultipartError | undefined
  private readonly parser: Multipasta.Parser

  constructor(
    // There it bounds a part with its headers; what is asked for is how large a file may be.
    { maxPartSize: maxFileSize = Number.POSITIVE_INFINITY, ...config }: Multipasta.BaseConfig,
    private readonly pull: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<MultipartError>>
  ) {
    this.parser = Multipasta.make({
      ...config,
      onField: ({ contentType, name, ...info }, value) => {
        const text = Multipasta.decodeField({ ...info, contentType, name }, value)
        this.parts.items.push(new Field(name, contentType, text))
      },
      onFile: (info) => {
        const content: Inbox<Uint8Array> = { items: [], isWhole: false }
        let size = 0
        this.parts.items.push(new File(info, this.streamOf(content)))
        return (bytes) => {
          if (bytes === null) content.isWhole = true
          else if ((size += bytes.length) > maxFileSize)
            this.fail(errorOf({ _tag: "ReachedLimit", limit: "MaxPartSize" }))
          else content.items.push(bytes)
        }
      },
      onError: (cause) => this.fail(errorOf(cause)),
      onDone: () => {
        this.parts.isWhole = true
      }
    })
  }

  streamOf<A>(inbox: Inbox<A>): Stream.Stream<A, MultipartError> {
    const next: Effect.Effect<Chunk.Chunk<A>, Option.Option<MultipartError>> = Effect.suspend(() => {
      const { items } = inbox
      if (items.length > 0) {
        inbox.items = []
        return Effect.succeed(Chunk.unsafeFromArray(items))
      }
      if (this.failure !== undefined) return Effect.fail(Option.some(this.failure))
      return inbox.isWhole ? Effect.fail(Option.none()) : Effect.zipRight(this.feed, next)
    })
    return Stream.repeatEffectChunkOption(next)
  }

  private fail(error: MultipartError): void {
    this.failure ??= answered(error)
  }

  private get feed(): Effect.Effect<void> {
    return Effect.match(this.pull, {
      onSuccess: (pieces) => this.read(pieces),
      onFailure: (end) => {
        if (Option.isSome(end)) return this.fail(end.value)
        this.parser.end()
        this.fail(new Multipart.MultipartError({ reason: "Parse", cause: new Error("the form does not end") }))
      }
    })
  }

  private read(pieces: Chunk.Chunk<Uint8Array>): void {
    try {
      for (const piece of pieces) if (this.failure === undefined) this.parser.write(piece)
    } catch (cause) {
      // A name that cannot be decoded is thrown by whoever decodes it.
      this.fail(new Multipart.MultipartError({ reason: "Parse", cause }))
    }
  }
}

/** The parts of the form that a body is, by the limits that are found in the context. */
export const partsOf = (
  bytes: Stream.Stream<Uint8Array, MultipartError>,
  headers: Record<string, string>
): Stream.Stream<Multipart.Part, MultipartError> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const config = yield* Multipart.makeConfig(headers)
      const form = new Form(config, yield* Stream.toPull(bytes))
      return form.streamOf(form.parts)
    })
  )

/** What a file that was being written has failed of, which `Multipart.toPersisted` wraps in an error of its own. */
export const unwrapped = (error: MultipartError): MultipartError => {
  if (error.cause instanceof Multipart.MultipartError) return error.cause
  // The name of a file, which the client has chosen, is quoted by what the system refuses.
  makeVisible(error.cause, visible)
  return error
}
