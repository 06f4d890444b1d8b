/** Response of the kit's client, as an `HttpClientResponse`. */
import * as Cookies from "@effect/platform/Cookies"
import * as Headers from "@effect/platform/Headers"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ResponseBody } from "./responseBody.js"

type ResponseError = HttpClientError.ResponseError

export class ClientResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly headers: Headers.Headers
  private parsedCookies: Cookies.Cookies | undefined

  constructor(
    readonly request: HttpClientRequest.HttpClientRequest,
    private readonly body: ResponseBody,
    readonly remoteAddress: Option.Option<string>
  ) {
    super()
    // The names are in lower case, and the record is not shared.
    this.headers = Headers.unsafeFromRecord(body.head.headers)
  }

  get status(): number {
    return this.body.head.status
  }

  get cookies(): Cookies.Cookies {
    this.parsedCookies ??= Cookies.fromSetCookie(this.body.head.setCookies)
    return this.parsedCookies
  }

  private readonly failed = (cause: unknown): ResponseError =>
    new HttpClientError.ResponseError({ request: this.request, response: this, reason: "Decode", cause })

  private get whole(): Effect.Effect<Buffer, ResponseError> {
    return Effect.flatMap(HttpIncomingMessage.MaxBodySize, (most) =>
      Effect.mapError(this.body.whole(Option.isSome(most) ? Number(most.value) : Number.POSITIVE_INFINITY), this.failed)
    )
  }

  get text(): Effect.Effect<string, ResponseError> {
    return Effect.map(this.whole, (bytes) => bytes.toString("utf8"))
  }

  get json(): Effect.Effect<unknown, ResponseError> {
    return Effect.tryMap(this.text, {
      try: (text): unknown => (text === "" ? null : JSON.parse(text)),
      catch: this.failed
    })
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, ResponseError> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, ResponseError> {
    return Effect.map(this.whole, (bytes) => Uint8Array.from(bytes).buffer)
  }

  get formData(): Effect.Effect<FormData, ResponseError> {
    const type = this.headers["content-type"] ?? ""
    return Effect.flatMap(this.whole, (bytes) =>
      Effect.tryPromise({
        try: () => new Response(Uint8Array.from(bytes), { headers: { "content-type": type } }).formData(),
        catch: this.failed
      })
    )
  }

  get stream(): Stream.Stream<Uint8Array, ResponseError> {
    const pieces = Effect.matchEffect(this.body.nextPieces, {
      onFailure: (error) => Effect.fail(Option.some(this.failed(error))),
      onSuccess: (parts) =>
        parts.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(Chunk.unsafeFromArray(parts))
    })
    return Stream.ensuring(
      Stream.repeatEffectChunkOption(pieces),
      Effect.sync(() => this.body.cancel())
    )
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }
}
