/**
 * A request as applications of `@effect/platform` see it.
 *
 * @internal
 */
import * as Cookies from "@effect/platform/Cookies"
import type * as Headers from "@effect/platform/Headers"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as Multipart from "@effect/platform/Multipart"
import type * as Socket from "@effect/platform/Socket"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import type { ReadonlyRecord } from "effect/Record"
import * as Stream from "effect/Stream"
import type { Request } from "../../Request.js"
import { rawFieldsOf } from "../headers.js"
import { escapeControlsIn } from "../host/escapeControls.js"
import type { AppRequest, PersistedEffect } from "./appRequest.js"
import { bodyError, decodeError, multipartError } from "./failures.js"
import type { Part } from "./formPart.js"
import { headersOf } from "./headers.js"
import { partsOf } from "./multipart.js"

type RequestError = HttpServerError.RequestError

const parseJson = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/**
 * Path and query, as an application routes them. A path of an absolute-form target that begins with two slashes would be
 * read as another authority by whoever resolves it (RFC 3986 §4.2), as `HttpServerRequest.toURL` does: it keeps its own.
 */
export const urlOf = ({ host, originalUrl, url }: Request): string =>
  url.startsWith("//") && url !== originalUrl ? `http://${host}${url}` : url

/** All but the request line is made when somebody looks. Extensible: applications keep properties of their own on it. */
export class ServerRequest extends Inspectable.Class implements HttpServerRequest.HttpServerRequest {
  private knownCookies: ReadonlyRecord<string, string> | undefined

  constructor(
    readonly call: AppRequest,
    readonly url: string,
    private ownHeaders: Headers.Headers | undefined,
    private readonly ownRemoteAddress: string | undefined
  ) {
    super()
  }

  get [HttpServerRequest.TypeId](): HttpServerRequest.TypeId {
    return HttpServerRequest.TypeId
  }

  get [HttpIncomingMessage.TypeId](): HttpIncomingMessage.TypeId {
    return HttpIncomingMessage.TypeId
  }

  /** The request of this package that it is about. */
  get source(): unknown {
    return this.call.native
  }

  get method(): HttpMethod {
    // Any token is a method; `HttpMethod` of the platform is those that it routes.
    return this.call.native.method as HttpMethod
  }

  get originalUrl(): string {
    return this.call.native.originalUrl
  }

  get headers(): Headers.Headers {
    return (this.ownHeaders ??= headersOf(rawFieldsOf(this.call.native.headers)))
  }

  get cookies(): ReadonlyRecord<string, string> {
    return (this.knownCookies ??= Cookies.parseHeader(this.headers.cookie ?? ""))
  }

  get remoteAddress(): Option.Option<string> {
    return this.ownRemoteAddress === undefined ? this.call.native.remoteAddress : Option.some(this.ownRemoteAddress)
  }

  modify(options: {
    readonly url?: string | undefined
    readonly headers?: Headers.Headers | undefined
    readonly remoteAddress?: string | undefined
  }): HttpServerRequest.HttpServerRequest {
    return new ServerRequest(
      this.call,
      options.url ?? this.url,
      options.headers ?? this.ownHeaders,
      options.remoteAddress ?? this.ownRemoteAddress
    )
  }

  get text(): Effect.Effect<string, RequestError> {
    return this.call.text(this)
  }

  get json(): Effect.Effect<unknown, RequestError> {
    return Effect.flatMap(this.text, (text) => {
      if (text === "") return Effect.succeed(null)
      return Effect.try({ try: () => JSON.parse(text) as unknown, catch: (cause) => decodeError(this, cause) })
    })
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, RequestError> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(`?${text}`)))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, RequestError> {
    return Effect.map(this.call.bytes(this), (bytes) => {
      const whole = new Uint8Array(bytes.length)
      whole.set(bytes)
      return whole.buffer
    })
  }

  get stream(): Stream.Stream<Uint8Array, RequestError> {
    return Stream.mapError(this.call.stream, (error) => bodyError(this, error))
  }

  get multipart(): PersistedEffect {
    return this.call.persisted(this.multipartStream)
  }

  get multipartStream(): Stream.Stream<Part, Multipart.MultipartError> {
    const bytes = Stream.mapError(this.call.stream, multipartError)
    const keep = (length: number) => this.call.exchange.keep(length)
    // A field is held by whatever has asked for it, as a file is that is read whole; any other goes on as it comes.
    return Stream.tap(partsOf(bytes, this.headers, keep), (part) =>
      Effect.sync(() => part._tag === "Field" && keep(Buffer.byteLength(part.value)))
    )
  }

  get upgrade(): Effect.Effect<Socket.Socket, RequestError> {
    return this.call.house.webSockets.upgrade(this.call, this)
  }

  override toString(): string {
    return `ServerRequest(${this.method} ${this.url})`
  }

  /** A body that has been read is shown; one that has not is left alone. */
  toJSON(): unknown {
    const body = this.shownBody
    return {
      _id: "@effect/platform/HttpServerRequest",
      method: this.method,
      url: this.originalUrl,
      headers: escapeControlsIn(Inspectable.redact(this.headers)),
      remoteAddress: this.remoteAddress.toJSON(),
      ...(body === undefined ? {} : { body: escapeControlsIn(body) })
    }
  }

  /** What `HttpIncomingMessage.inspect` shows: text, as what its type says that it is. */
  private get shownBody(): unknown {
    const text = this.call.readText
    const type = this.headers["content-type"] ?? ""
    if (text === undefined) return undefined
    if (type.includes("application/json")) return text === "" ? null : Option.getOrUndefined(parseJson(text))
    return type.includes("text/") || type.includes("urlencoded") ? text : undefined
  }
}
