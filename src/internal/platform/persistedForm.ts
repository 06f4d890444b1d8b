/**
 * A form whose files are kept on disk until their request ends: `Multipart.toPersisted`, but each file of the form is a
 * file of its own, whatever it is called. There two files of one name are one, and `..` is the folder above.
 *
 * @internal
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Multipart from "@effect/platform/Multipart"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Block, File, Part } from "./formPart.js"

type MultipartError = Multipart.MultipartError

/** Bytes that are written at once, however small the pieces are in which they arrive. */
const blockSize = 64 * 1024

class PersistedFile extends Inspectable.Class implements Multipart.PersistedFile {
  readonly [Multipart.TypeId]: Multipart.TypeId = Multipart.TypeId
  readonly _tag = "PersistedFile"
  readonly key: string
  readonly name: string
  readonly contentType: string

  constructor(
    file: File,
    readonly path: string
  ) {
    super()
    this.key = file.key
    this.name = file.name
    this.contentType = file.contentType
  }

  toJSON(): unknown {
    const { _tag, contentType, key, name, path } = this
    return { _id: "@effect/platform/Multipart/Part", _tag, key, name, contentType, path }
  }
}

/** Writes a file that does not exist yet. One that is a single block, as most are, costs one call. */
const write = (file: File, first: Block, path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (first.isLast) return yield* fs.writeFile(path, first.bytes, { flag: "wx" })
    const opened = yield* fs.open(path, { flag: "wx" })
    for (let block = first; ; block = yield* file.read(blockSize)) {
      if (block.bytes.length > 0) yield* opened.writeAll(block.bytes)
      if (block.isLast) return
    }
  }).pipe(Effect.scoped)

/** The extension of a file's name, by which many programs know its type; nothing else of the name is in the path. */
const extensionOf = (name: string): string => /\.[A-Za-z0-9]{1,16}$/.exec(name)?.[0] ?? ""

/** `Persisted`, as it is filled. Its names are the client's: it has no prototype. */
type Filling = Record<string, string | Array<string | PersistedFile>>

const addField = (form: Filling, key: string, value: string): void => {
  const before = form[key]
  if (before === undefined) form[key] = value
  else if (typeof before === "string") form[key] = [before, value]
  else before.push(value)
}

/** A field of the same name stays, too: a schema tells that the list is not one of files. */
const addFile = (form: Filling, file: PersistedFile): void => {
  const before = form[file.key]
  if (before === undefined) form[file.key] = [file]
  else if (typeof before === "string") form[file.key] = [before, file]
  else before.push(file)
}

const failInternally = (cause: unknown): Effect.Effect<never, MultipartError> =>
  Effect.fail(new Multipart.MultipartError({ reason: "InternalError", cause }))

export const persist = (
  parts: Stream.Stream<Part, MultipartError>
): Effect.Effect<Multipart.Persisted, MultipartError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const form: Filling = Object.create(null)
    // A form without files needs none.
    const folder = yield* Effect.cached(fs.makeTempDirectoryScoped())
    let count = 0
    const keep = (file: File) =>
      Effect.gen(function* () {
        const first = yield* file.read(blockSize)
        // What a browser sends where no file was chosen (HTML, "constructing the entry list").
        if (file.name === "" && first.isLast && first.bytes.length === 0) return
        const kept = new PersistedFile(file, path.join(yield* folder, `${count++}${extensionOf(file.name)}`))
        addFile(form, kept)
        yield* write(file, first, kept.path)
      })
    yield* Stream.runForEach(parts, (part) =>
      part._tag === "File" ? keep(part) : Effect.sync(() => addField(form, part.key, part.value))
    )
    // A list has files or texts, unless a form has both by one name, which the type of `Persisted` does not know.
    return form as Multipart.Persisted
  }).pipe(Effect.catchTags({ BadArgument: failInternally, SystemError: failInternally }))
