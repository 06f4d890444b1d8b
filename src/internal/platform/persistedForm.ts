/**
 * Persisting of forms: writes their files to a temporary directory until the request ends. As `Multipart.toPersisted`, but
 * with a generated path for each file: there, two files of one name overwrite each other, and `..` is the parent directory.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Multipart from "@effect/platform/Multipart"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { multipartError } from "./failures.js"
import type { Block, File, Part } from "./formPart.js"

type MultipartError = Multipart.MultipartError

/** Minimum of bytes per write, independent of the size of the received pieces. */
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

/** Creates and writes a file. A file of a single block, as most are, costs one call. */
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

/** The extension of a file name, since many programs depend on it; the rest of the name is not part of the path. */
const extensionOf = (name: string): string => /\.[A-Za-z0-9]{1,16}$/.exec(name)?.[0] ?? ""

/** A mutable `Persisted`. Without a prototype, since the client chooses its keys. */
type Filling = Record<string, string | Array<string | PersistedFile>>

/** Adds a field or a file. A list may have both, if they have the same name: a schema then rejects it. */
const add = (form: Filling, key: string, value: string | PersistedFile): void => {
  const before = form[key]
  if (Array.isArray(before)) before.push(value)
  else if (before !== undefined) form[key] = [before, value]
  else form[key] = typeof value === "string" ? value : [value]
}

const failInternally = (cause: unknown): Effect.Effect<never, MultipartError> => Effect.fail(multipartError(cause))

export const persist = (
  parts: Stream.Stream<Part, MultipartError>
): Effect.Effect<Multipart.Persisted, MultipartError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const form: Filling = Object.create(null)
    // Created for the first file.
    const directory = yield* Effect.cached(fs.makeTempDirectoryScoped())
    let count = 0
    const addPersisted = (file: File) =>
      Effect.gen(function* () {
        const first = yield* file.read(blockSize)
        // Browsers send this if no file was chosen (HTML, "constructing the entry list").
        if (file.name === "" && first.isLast && first.bytes.length === 0) return
        const persisted = new PersistedFile(file, path.join(yield* directory, `${count++}${extensionOf(file.name)}`))
        add(form, file.key, persisted)
        yield* write(file, first, persisted.path)
      })
    yield* Stream.runForEach(parts, (part) =>
      part._tag === "File" ? addPersisted(part) : Effect.sync(() => add(form, part.key, part.value))
    )
    // A list has files or strings, unless a form has both by one name, which the type of `Persisted` cannot express.
    return form as Multipart.Persisted
  }).pipe(Effect.catchTags({ BadArgument: failInternally, SystemError: failInternally }))
