/**
 * The client of a test server: sends requests over the connections of a pool, and reads their responses.
 *
 * It sends and reports what Node's client does, at a lower cost, in memory as over loopback.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isTcp } from "../../../Address.js"
import { isErrorLike, isUint8Array } from "../../../internal/host/realm.js"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { ClientConnection, ConnectionPool, PendingRequest } from "./clientConnection.js"
import { ClientResponse } from "./clientResponse.js"
import { encodeForm } from "./formBody.js"
import { listMembers } from "./grammar.js"
import { headOf, type Length, unsendable } from "./requestHead.js"
import type { ResponseBody } from "./responseBody.js"

type Request = HttpClientRequest.HttpClientRequest
type Headers = Readonly<Record<string, string>>
type RequestError = HttpClientError.RequestError

const nothing = Buffer.alloc(0)

const lastChunk = Buffer.from("0\r\n\r\n")

const failed = (request: Request, reason: RequestError["reason"], cause: unknown): RequestError =>
  new HttpClientError.RequestError({ request, reason, cause })

const aborted = (): Error =>
  Object.assign(new Error("The operation was aborted"), { name: "AbortError", code: "ABORT_ERR" })

/** One request on a connection, and its response. */
class ClientExchange implements PendingRequest {
  private result: ResponseBody | undefined
  private failure: Error | undefined
  private hasEnded = false
  private resume: ((effect: Effect.Effect<ResponseBody, Error>) => void) | undefined
  private readonly end = new Signal()
  private readonly onAbort = (): void => this.connection.reset(aborted)

  constructor(
    readonly method: string,
    readonly upgrade: string | undefined,
    readonly connection: ClientConnection,
    private readonly signal: AbortSignal
  ) {
    // Until the end of the content: a caller that cancels it aborts by this signal too.
    signal.addEventListener("abort", this.onAbort)
  }

  onResponse(response: ResponseBody): void {
    this.result = response
    this.resume?.(Effect.succeed(response))
  }

  onFailure(error: Error): void {
    this.failure = error
    this.resume?.(Effect.fail(error))
  }

  onEnd(): void {
    this.hasEnded = true
    this.signal.removeEventListener("abort", this.onAbort)
    this.end.wake()
  }

  /** The response, once its head has been received. Interruption before resets the connection. */
  readonly response: Effect.Effect<ResponseBody, Error> = Effect.async<ResponseBody, Error>((resume) => {
    if (this.failure !== undefined) resume(Effect.fail(this.failure))
    else if (this.result !== undefined) resume(Effect.succeed(this.result))
    else this.resume = resume
    return Effect.sync(() => this.connection.reset(aborted))
  })

  /** Waits until the server reads nothing more of the request. */
  readonly ended: Effect.Effect<void> = this.end.until(() => (this.hasEnded ? Effect.void : undefined))

  send(bytes: Buffer): Effect.Effect<void> {
    return Effect.async((resume) => this.connection.send(bytes, () => resume(Effect.void)))
  }
}

/** Sends a head on a connection of the pool. */
const beginExchange = (
  pool: ConnectionPool,
  request: Request,
  headers: Headers,
  url: URL,
  signal: AbortSignal,
  length: Length
): ClientExchange | RequestError => {
  const name = unsendable(headers)
  if (name !== undefined) {
    const cause = new TypeError(`Invalid character in header content [${JSON.stringify(name)}]`)
    return failed(request, "Encode", Object.assign(cause, { code: "ERR_INVALID_CHAR" }))
  }
  if (signal.aborted) return failed(request, "Transport", aborted())
  const connection = pool.take()
  if (isErrorLike(connection)) return failed(request, "Transport", connection)
  const exchange = new ClientExchange(request.method, headers.upgrade, connection, signal)
  connection.begin(exchange, !listMembers(headers.connection).includes("close"))
  connection.send(Buffer.from(headOf(request, headers, url, length), "latin1"))
  return exchange
}

const bytesOf = (body: unknown): Buffer | undefined => {
  if (typeof body === "string") return Buffer.from(body)
  if (isUint8Array(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return undefined
}

/** A stream with the framing of its content. */
const framedStream = (stream: Stream.Stream<Uint8Array, unknown>, isChunked: boolean): typeof stream => {
  if (!isChunked) return stream
  const chunks = Stream.filterMap(stream, (piece) =>
    piece.length === 0
      ? Option.none()
      : Option.some(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]))
  )
  return Stream.concat(chunks, Stream.succeed(lastChunk))
}

/** The package of the client for other URLs, an optional peer dependency, is not installed. */
export class MissingPackage extends Data.TaggedError("MissingPackage")<{ readonly cause: unknown }> {
  override get message(): string {
    return "The client of a test server requires the package @effect/platform-node for https: URLs"
  }
}

/** Makes the client of other URLs. */
export type FallbackClient = Effect.Effect<HttpClient.HttpClient, MissingPackage>

/** The client of the pool's server. URLs of other schemes than `http:` are requested by another client. */
export const kitClient = (pool: ConnectionPool, fallback: FallbackClient): HttpClient.HttpClient =>
  HttpClient.make((request, url, signal) => {
    if (url.protocol !== "http:") {
      return Effect.withTracerEnabled(
        Effect.flatMap(
          Effect.mapError(fallback, (cause) => failed(request, "Transport", cause)),
          (client) => client.execute(request)
        ),
        false
      )
    }
    const responseOf = (exchange: ClientExchange): Effect.Effect<HttpClientResponse.HttpClientResponse, RequestError> =>
      Effect.mapBoth(exchange.response, {
        onFailure: (cause) => failed(request, "Transport", cause),
        onSuccess: (body) =>
          new ClientResponse(
            request,
            body,
            Option.map(Option.filter(exchange.connection.remote, isTcp), ({ hostname }) => hostname)
          )
      })
    const sendWhole = (headers: Headers, bytes: Buffer) => {
      const exchange = beginExchange(pool, request, headers, url, signal, bytes.length)
      if (HttpClientError.isHttpClientError(exchange)) return Effect.fail(exchange)
      if (bytes.length > 0) exchange.connection.send(bytes)
      exchange.connection.sent()
      return responseOf(exchange)
    }
    const { body, headers } = request
    switch (body._tag) {
      case "Empty":
        return sendWhole(headers, nothing)
      case "Uint8Array":
      case "Raw": {
        const bytes = bytesOf(body.body)
        return bytes === undefined
          ? Effect.fail(failed(request, "Encode", new TypeError("A raw body must be a string or a Uint8Array")))
          : sendWhole(headers, bytes)
      }
      case "FormData": {
        return Effect.flatMap(
          Effect.tryPromise({
            try: () => encodeForm(body.formData),
            catch: (cause) => failed(request, "Encode", cause)
          }),
          ({ bytes, contentType }) => sendWhole({ ...headers, "content-type": contentType }, bytes)
        )
      }
      case "Stream": {
        const exchange = beginExchange(pool, request, headers, url, signal, body.contentLength ?? "Chunked")
        if (HttpClientError.isHttpClientError(exchange)) return Effect.fail(exchange)
        const isChunked = headers["content-length"] === undefined && body.contentLength === undefined
        const sent = Stream.runForEach(framedStream(body.stream, isChunked), (piece) =>
          exchange.send(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength))
        ).pipe(
          Effect.mapError((cause) => failed(request, "Encode", cause)),
          // An exchange that has ended accepts no more bytes; it may have a response nevertheless.
          Effect.raceFirst(exchange.ended)
        )
        return Effect.zipRight(
          Effect.zipRight(
            sent,
            Effect.sync(() => exchange.connection.sent())
          ),
          responseOf(exchange),
          { concurrent: true }
        ).pipe(Effect.onError(() => Effect.sync(() => exchange.connection.reset(aborted))))
      }
    }
  })
