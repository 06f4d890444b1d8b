/** The implementation of `HttpServerRequest` of `@effect/platform`. */
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
import { escapeControlsIn } from "../host/escapeControls.js"
import type { AppRequest, PersistedEffect } from "./appRequest.js"
import { bodyError, decodeError, multipartError } from "./failures.js"
import type { Part } from "./formPart.js"
import { effectiveHeadersOf } from "./headers.js"
import { partsOf } from "./multipart.js"

type RequestError = HttpServerError.RequestError

const parseJson = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/**
 * Path and query for routing. In an absolute-form target, a path that begins with two slashes keeps its authority: resolving
 * it, as `HttpServerRequest.toURL` does, would take the path for another authority (RFC 3986 §4.2).
 */
const urlOf = ({ host, originalUrl, scheme, url }: Request): string =>
  url.startsWith("//") && url !== originalUrl ? `${scheme}://${host}${url}` : url

/** All but the request line is lazy. Extensible: applications may add properties. */
export class ServerRequest extends Inspectable.Class implements HttpServerRequest.HttpServerRequest {
  private cookiesCache: ReadonlyRecord<string, string> | undefined

  constructor(
    readonly appRequest: AppRequest,
    readonly url: string,
    private headersCache: Headers.Headers | undefined,
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

  /** The underlying request of this package. */
  get source(): unknown {
    return this.appRequest.native
  }

  get method(): HttpMethod {
    // Any token is a method; `HttpMethod` of the platform is the set that it routes.
    return this.appRequest.native.method as HttpMethod
  }

  get originalUrl(): string {
    return this.appRequest.native.originalUrl
  }

  get headers(): Headers.Headers {
    return (this.headersCache ??= effectiveHeadersOf(this.appRequest.native))
  }

  get cookies(): ReadonlyRecord<string, string> {
    return (this.cookiesCache ??= Cookies.parseHeader(this.headers.cookie ?? ""))
  }

  get remoteAddress(): Option.Option<string> {
    return this.ownRemoteAddress === undefined
      ? this.appRequest.native.remoteAddress
      : Option.some(this.ownRemoteAddress)
  }

  modify(options: {
    readonly url?: string | undefined
    readonly headers?: Headers.Headers | undefined
    readonly remoteAddress?: string | undefined
  }): HttpServerRequest.HttpServerRequest {
    return new ServerRequest(
      this.appRequest,
      options.url ?? this.url,
      options.headers ?? this.headersCache,
      options.remoteAddress ?? this.ownRemoteAddress
    )
  }

  get text(): Effect.Effect<string, RequestError> {
    return this.appRequest.text(this)
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
    return Effect.map(this.appRequest.bytes(this), (bytes) => {
      const whole = new Uint8Array(bytes.length)
      whole.set(bytes)
      return whole.buffer
    })
  }

  get stream(): Stream.Stream<Uint8Array, RequestError> {
    return Stream.mapError(this.appRequest.stream, (error) => bodyError(this, error))
  }

  get multipart(): PersistedEffect {
    return this.appRequest.persisted(this.multipartStream)
  }

  get multipartStream(): Stream.Stream<Part, Multipart.MultipartError> {
    const bytes = Stream.mapError(this.appRequest.stream, multipartError)
    const keep = (length: number) => this.appRequest.exchange.keep(length)
    // Fields are kept in memory by their consumer, as are files that are read whole; other files are streamed.
    return Stream.tap(partsOf(bytes, this.headers, keep), (part) =>
      Effect.sync(() => part._tag === "Field" && keep(Buffer.byteLength(part.value)))
    )
  }

  get upgrade(): Effect.Effect<Socket.Socket, RequestError> {
    return this.appRequest.config.upgrade(this.appRequest, this)
  }

  override toString(): string {
    return `ServerRequest(${this.method} ${this.url})`
  }

  /** Includes the body only if it has been read. */
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

  /** The body as in `HttpIncomingMessage.inspect`: text, interpreted by its Content-Type. */
  private get shownBody(): unknown {
    const text = this.appRequest.readText
    const type = this.headers["content-type"] ?? ""
    if (text === undefined) return undefined
    if (type.includes("application/json")) return text === "" ? null : Option.getOrUndefined(parseJson(text))
    return type.includes("text/") || type.includes("urlencoded") ? text : undefined
  }
}

/** The request of an application, as it was sent. */
export const makeRequest = (appRequest: AppRequest): HttpServerRequest.HttpServerRequest =>
  new ServerRequest(appRequest, urlOf(appRequest.native), undefined, undefined)
