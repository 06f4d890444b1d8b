/**
 * The files of a folder: `FOLDER`, the examples by default.
 *
 * - Types by extension, `index.html` for a folder, ETag and Last-Modified, and 304 for whoever has the file already.
 * - A part of a file by `Range` (206, or 416 for one that is not there), which is how players seek and downloads resume.
 * - Nothing outside of the folder, by `..` or by a link, and nothing whose name begins with a dot.
 */
import { Etag, FileSystem, HttpServer, HttpServerRequest, HttpServerResponse, Path } from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Data, Effect, Layer, Option } from "effect"
import { layerConfig } from "effect-asynchttpserver/HttpServer"

class Refused extends Data.TaggedError("Refused")<{
  readonly status: number
  readonly headers?: Record<string, string>
}> {}

/** The path that a target names; a target may be a whole URL (RFC 9112 §3.2.2). */
const pathOf = (target: string) =>
  Effect.try({
    try: () => decodeURIComponent(target.replace(/^https?:\/\/[^/?]*/i, "").replace(/[?#].*$/s, "")),
    catch: () => new Refused({ status: 400 })
  })

/** The real file behind a path: where links and `..` have led to counts, not how they are written. */
const locate = (folder: string, path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join, sep } = yield* Path.Path
    if (path.includes("\0") || path.split(/[/\\]/).some((name) => name.startsWith("."))) {
      return yield* new Refused({ status: 404 })
    }
    const root = yield* fs.realPath(folder)
    const file = yield* fs.realPath(join(root, path))
    if (file !== root && !file.startsWith(root.endsWith(sep) ? root : root + sep)) {
      return yield* new Refused({ status: 404 })
    }
    return file
  })

type Part = { readonly offset: number; readonly bytesToRead: number }

/**
 * The part that a `Range` asks for; "Unsatisfiable" when the file has none of it. One that cannot be read, or asks for
 * several parts, is ignored: a server may do so, and a client then gets the whole (RFC 9110 §14.2).
 */
const partOf = (range: string, size: number): Part | "Whole" | "Unsatisfiable" => {
  const [, first = "", last = ""] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range) ?? []
  if (first === "" && last === "") return "Whole"
  if (first !== "" && last !== "" && Number(last) < Number(first)) return "Whole"
  // Without a first byte it is the last so many, which may be more than there are.
  const offset = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  return offset < end ? { offset, bytesToRead: end - offset } : "Unsatisfiable"
}

const withoutWeakness = (tag: string) => tag.trim().replace(/^W\//, "")

/** Whether a client has the file as it is. Its dates count only where it says nothing of tags (RFC 9110 §13.2.2). */
const isKnown = ({ headers }: HttpServerRequest.HttpServerRequest, etag: string, modified: Date): boolean => {
  const tags = headers["if-none-match"]
  if (tags !== undefined) return tags.trim() === "*" || tags.split(",").some((tag) => withoutWeakness(tag) === etag)
  // The header has no fractions of a second.
  return Math.floor(modified.getTime() / 1000) * 1000 <= Date.parse(headers["if-modified-since"] ?? "")
}

/** Whether the part that a client asks for belongs to what it has. */
const mayResume = ({ headers }: HttpServerRequest.HttpServerRequest, etag: string, modified: Date): boolean => {
  const condition = headers["if-range"]
  return condition === undefined || condition === etag || condition === modified.toUTCString()
}

const respond = (folder: string) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const fs = yield* FileSystem.FileSystem
    if (request.method !== "GET" && request.method !== "HEAD") {
      return yield* new Refused({ status: 405, headers: { allow: "GET, HEAD" } })
    }
    const path = yield* pathOf(request.url)
    const found = yield* locate(folder, path)
    const isFolder = (yield* fs.stat(found)).type === "Directory"
    // The links of a page lead on from its folder, and that is what ends in a slash.
    if (isFolder !== path.endsWith("/")) {
      const location = isFolder ? `/${encodeURI(path.replace(/^\/+/, ""))}/` : undefined
      return yield* new Refused(location === undefined ? { status: 404 } : { status: 308, headers: { location } })
    }
    const file = isFolder ? yield* locate(folder, `${path}index.html`) : found
    const info = yield* fs.stat(file)
    if (info.type !== "File") return yield* new Refused({ status: 404 })

    const etag = Etag.toString(yield* (yield* Etag.Generator).fromFileInfo(info))
    const modified = Option.getOrElse(info.mtime, () => new Date(0))
    const headers = { "accept-ranges": "bytes", "cache-control": "no-cache" }
    if (isKnown(request, etag, modified)) {
      const known = { ...headers, etag, "last-modified": modified.toUTCString() }
      return HttpServerResponse.empty({ status: 304, headers: known })
    }
    const size = Number(info.size)
    const range = request.method === "GET" && mayResume(request, etag, modified) ? request.headers.range : undefined
    const part = range === undefined ? "Whole" : partOf(range, size)
    if (part === "Whole") return yield* HttpServerResponse.file(file, { headers })
    if (part === "Unsatisfiable") {
      return yield* new Refused({ status: 416, headers: { "content-range": `bytes */${size}` } })
    }
    const last = part.offset + part.bytesToRead - 1
    const inPart = { ...headers, "content-range": `bytes ${part.offset}-${last}/${size}` }
    return yield* HttpServerResponse.file(file, { ...part, status: 206, headers: inPart })
  })

const app = Effect.flatMap(Config.withDefault(Config.string("FOLDER"), "examples"), respond).pipe(
  Effect.catchTags({
    Refused: ({ headers, status }) => HttpServerResponse.text(`${status}\n`, { status, ...(headers && { headers }) }),
    SystemError: ({ reason }) => {
      const status = reason === "NotFound" ? 404 : reason === "PermissionDenied" ? 403 : 500
      return HttpServerResponse.text(`${status}\n`, { status })
    }
  })
)

const server = layerConfig({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const ready = HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`))

const live = Layer.effectDiscard(ready).pipe(
  Layer.merge(HttpServer.serve(app)),
  // The tags of file responses are strong ones, and only those join parts (RFC 9110 §13.1.5).
  Layer.provide(Etag.layer),
  Layer.provide(server)
)

runMain(Layer.launch(live))
