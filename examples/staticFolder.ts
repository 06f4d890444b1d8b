/**
 * A static file server for `FOLDER`, the examples by default.
 *
 * - Types by extension, text as UTF-8, `index.html` for a folder; a folder's path without its slash is redirected.
 * - ETag and Last-Modified, and the preconditions of RFC 9110 §13: 304 for a client that has the file, 412 for a request for
 *   another version of it.
 * - A part of a file by `Range` (206, or 416 if it does not exist), for players that seek and downloads that resume.
 * - 404 for everything outside the folder, by `..` or by a link, for names that begin with a dot, and for what is not a file.
 */
import { type Error, Etag, FileSystem, HttpServer, HttpServerRequest, HttpServerResponse, Path } from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Data, Effect, Layer, Option, Predicate } from "effect"
import { layerConfig } from "effect-asynchttpserver/HttpServer"

type Headers = Readonly<Record<string, string | undefined>>

class Refused extends Data.TaggedError("Refused")<{
  readonly status: number
  readonly headers?: Record<string, string>
}> {}

/** The decoded names in a target's path, and its query. A target may be a whole URL (RFC 9112 §3.2.2). */
const parse = (target: string) => {
  const [, path = "", query = ""] = /^(?:https?:\/\/[^/?]*)?([^?]*)(.*)$/is.exec(target) ?? []
  return Effect.try({
    try: () => ({ names: path.split("/").map((name) => decodeURIComponent(name)), query }),
    catch: () => new Refused({ status: 400 })
  })
}

/** The real path of a list of names, with links followed. */
const locate = (folder: string, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join, sep } = yield* Path.Path
    const isOrdinary = (name: string) => !name.startsWith(".") && !["/", sep, "\0"].some((mark) => name.includes(mark))
    if (!names.every(isOrdinary)) return yield* new Refused({ status: 404 })
    const root = yield* fs.realPath(folder)
    const file = yield* fs.realPath(join(root, ...names))
    const isWithin = file === root || file.startsWith(root.endsWith(sep) ? root : root + sep)
    return isWithin ? file : yield* new Refused({ status: 404 })
  })

const hasTag = (list: string, isTag: (tag: string) => boolean) =>
  list.trim() === "*" || list.split(",").some((tag) => isTag(tag.trim()))

/**
 * An HTTP date in any of its three forms (RFC 9110 §5.6.7), which begin with a day and are in GMT, named or not; NaN for
 * anything else, since every comparison with NaN is false. `Date.parse` alone would accept `0` as well.
 */
const parseDate = (text = ""): number =>
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text.endsWith(" GMT") ? text : `${text} GMT`) : Number.NaN

/** The status that a request's preconditions require instead of the file, in order of precedence (RFC 9110 §13.2.2). */
const conditional = (headers: Headers, etag: string, modified: Date): 304 | 412 | undefined => {
  const { "if-match": match, "if-none-match": noneMatch } = headers
  const date = (name: string) => parseDate(headers[name])
  // HTTP dates have no fractions of a second.
  const seconds = Math.floor(modified.getTime() / 1000) * 1000
  if (match !== undefined ? !hasTag(match, (tag) => tag === etag) : seconds > date("if-unmodified-since")) return 412
  const isKnown =
    noneMatch !== undefined
      ? hasTag(noneMatch, (tag) => tag.replace(/^W\//, "") === etag)
      : seconds <= date("if-modified-since")
  return isKnown ? 304 : undefined
}

type Part = { readonly offset: number; readonly bytesToRead: number }

/**
 * The part of a file requested by `Range`; "Unsatisfiable" if the file has none of it. A malformed range, or one of
 * several parts, is ignored: a server may do so, and the client then gets the whole file (RFC 9110 §14.2).
 */
const partOf = (range: string, size: number): Part | "Whole" | "Unsatisfiable" => {
  const [, first = "", last = ""] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range) ?? []
  if (first === "" && last === "") return "Whole"
  if (first !== "" && last !== "" && Number(last) < Number(first)) return "Whole"
  // Without a first byte it is a suffix length, which may exceed the size.
  const offset = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  return offset < end ? { offset, bytesToRead: end - offset } : "Unsatisfiable"
}

/** Whether the requested part belongs to the version that the client has (RFC 9110 §13.1.5). */
const mayResume = ({ "if-range": condition }: Headers, etag: string, modified: Date): boolean =>
  condition === undefined || condition === etag || condition === modified.toUTCString()

/** Adds a charset to text: without one, browsers choose an encoding by the user's language. */
const asUtf8 = (response: HttpServerResponse.HttpServerResponse) => {
  const type = response.headers["content-type"] ?? ""
  const isText = type.startsWith("text/") || type === "application/javascript"
  return isText ? HttpServerResponse.setHeader(response, "content-type", `${type}; charset=utf-8`) : response
}

const sendFile = (file: string, { headers, method }: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const info = yield* fs.stat(file)
    if (info.type !== "File") return yield* new Refused({ status: 404 })
    yield* fs.access(file, { readable: true })

    const etag = Etag.toString(yield* (yield* Etag.Generator).fromFileInfo(info))
    const modified = Option.getOrElse(info.mtime, () => new Date(0))
    const own = { "accept-ranges": "bytes", "cache-control": "no-cache" }
    const status = conditional(headers, etag, modified)
    if (status !== undefined) {
      return HttpServerResponse.empty({ status, headers: { ...own, etag, "last-modified": modified.toUTCString() } })
    }
    const size = Number(info.size)
    const range = method === "GET" && mayResume(headers, etag, modified) ? headers.range : undefined
    const part = range === undefined ? "Whole" : partOf(range, size)
    if (part === "Whole") return asUtf8(yield* HttpServerResponse.file(file, { headers: own }))
    if (part === "Unsatisfiable") {
      return yield* new Refused({ status: 416, headers: { "content-range": `bytes */${size}` } })
    }
    const last = part.offset + part.bytesToRead - 1
    const inPart = { ...own, "content-range": `bytes ${part.offset}-${last}/${size}` }
    return asUtf8(yield* HttpServerResponse.file(file, { ...part, status: 206, headers: inPart }))
  })

const respond = (folder: string) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const fs = yield* FileSystem.FileSystem
    if (request.method !== "GET" && request.method !== "HEAD") {
      return yield* new Refused({ status: 405, headers: { allow: "GET, HEAD" } })
    }
    const { names, query } = yield* parse(request.url)
    const found = yield* locate(folder, names)
    const isFolder = (yield* fs.stat(found)).type === "Directory"
    const endsInSlash = names[names.length - 1] === ""
    if (!isFolder) return endsInSlash ? yield* new Refused({ status: 404 }) : yield* sendFile(found, request)
    if (endsInSlash) return yield* sendFile(yield* locate(folder, [...names, "index.html"]), request)
    // Relative links of a page resolve against its folder, whose path ends in a slash.
    const path = names.filter((name) => name !== "").map((name) => `/${encodeURIComponent(name)}`)
    return yield* new Refused({ status: 308, headers: { location: `${path.join("")}/${query}` } })
  })

/** The status for a system error. A name that is too long, or leads through a file or a loop of links, is not found. */
const statusOf = ({ cause, reason }: Error.SystemError): number => {
  if (reason === "PermissionDenied") return 403
  const isTooLong = Predicate.hasProperty(cause, "code") && cause.code === "ENAMETOOLONG"
  return reason === "NotFound" || reason === "BadResource" || isTooLong ? 404 : 500
}

const app = Effect.flatMap(Config.withDefault(Config.string("FOLDER"), "examples"), respond).pipe(
  Effect.catchTags({
    Refused: ({ headers, status }) => HttpServerResponse.text(`${status}\n`, { status, ...(headers && { headers }) }),
    SystemError: (error) => HttpServerResponse.text(`${statusOf(error)}\n`, { status: statusOf(error) })
  })
)

const server = layerConfig({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const ready = HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`))

const live = Layer.effectDiscard(ready).pipe(
  Layer.merge(HttpServer.serve(app)),
  // The tags of file responses are strong: only strong tags may combine parts (RFC 9110 §13.1.5).
  Layer.provide(Etag.layer),
  Layer.provide(server)
)

runMain(Layer.launch(live))
