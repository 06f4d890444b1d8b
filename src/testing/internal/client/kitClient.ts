/**
 * The client of a test server: requests as bytes into the connection, answers out of what comes back.
 *
 * It says and reports what Node's client does, for less work, and is the same in memory and over loopback.
 *
 * @internal
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { partsOf } from "../../../internal/lists.js"
import { isUint8Array } from "../../../internal/realm.js"
import { Signal } from "../../../internal/runtime.js"
import { systemError } from "../memorySocket.js"
import type { Answer } from "./answer.js"
import type { Asking, ClientConnection, ConnectionPool } from "./clientConnection.js"
import { ClientResponse } from "./clientResponse.js"
import { encodeForm } from "./formBody.js"
import { headOf, type Length, unsendable } from "./requestHead.js"

type Request = HttpClientRequest.HttpClientRequest
type Headers = Readonly<Record<string, string>>
type RequestError = HttpClientError.RequestError

const nothing = Buffer.alloc(0)

const lastChunk = Buffer.from("0\r\n\r\n")

const failed = (request: Request, reason: RequestError["reason"], cause: unknown): RequestError =>
  new HttpClientError.RequestError({ request, reason, cause })

const aborted = (): Error =>
  Object.assign(new Error("The operation was aborted"), { name: "AbortError", code: "ABORT_ERR" })

/** One request on its way, and who waits for its answer. */
class Asked implements Asking {
  private answer: Answer | undefined
  private failure: Error | undefined
  private isOver = false
  private resume: ((effect: Effect.Effect<Answer, Error>) => void) | undefined
  private readonly over = new Signal()
  private readonly onAbort = (): void => this.connection.reset(aborted)

  constructor(
    readonly method: string,
    readonly connection: ClientConnection,
    private readonly signal: AbortSignal
  ) {
    // Also behind the answer: who gives up its body says so by this signal.
    signal.addEventListener("abort", this.onAbort)
  }

  onHead(answer: Answer): void {
    this.answer = answer
    this.resume?.(Effect.succeed(answer))
  }

  onFailure(error: Error): void {
    this.failure = error
    this.resume?.(Effect.fail(error))
  }

  onOver(): void {
    this.isOver = true
    this.signal.removeEventListener("abort", this.onAbort)
    this.over.wake()
  }

  /** The answer, once its head is there; who is interrupted meanwhile leaves the server. */
  readonly answered: Effect.Effect<Answer, Error> = Effect.async<Answer, Error>((resume) => {
    if (this.failure !== undefined) resume(Effect.fail(this.failure))
    else if (this.answer !== undefined) resume(Effect.succeed(this.answer))
    else this.resume = resume
    return Effect.sync(() => this.connection.reset(aborted))
  })

  /** Nothing that is sent is read any more. */
  readonly ended: Effect.Effect<void> = Effect.suspend(() =>
    this.isOver ? Effect.void : Effect.zipRight(this.over.waitOrLeave(), this.ended)
  )

  send(bytes: Buffer): Effect.Effect<void> {
    return Effect.async((resume) => this.connection.send(bytes, () => resume(Effect.void)))
  }
}

/** Sends a head, on a connection of the pool. */
const begun = (
  pool: ConnectionPool,
  request: Request,
  headers: Headers,
  url: URL,
  signal: AbortSignal,
  length: Length
): Asked | RequestError => {
  const name = unsendable(headers)
  if (name !== undefined) {
    const cause = new TypeError(`Invalid character in header content [${JSON.stringify(name)}]`)
    return failed(request, "Encode", Object.assign(cause, { code: "ERR_INVALID_CHAR" }))
  }
  if (signal.aborted) return failed(request, "Transport", aborted())
  const connection = pool.take()
  if (connection === undefined) return failed(request, "Transport", systemError("ECONNREFUSED", "connect"))
  const asked = new Asked(request.method, connection, signal)
  connection.ask(asked, !partsOf((headers.connection ?? "").toLowerCase()).includes("close"))
  connection.send(Buffer.from(headOf(request, headers, url, length), "latin1"))
  return asked
}

const bytesOf = (body: unknown): Buffer | undefined => {
  if (typeof body === "string") return Buffer.from(body)
  if (isUint8Array(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return undefined
}

/** What is streamed, in its framing. */
const framedStream = (stream: Stream.Stream<Uint8Array, unknown>, isChunked: boolean): typeof stream => {
  if (!isChunked) return stream
  const chunks = Stream.filterMap(stream, (piece) =>
    piece.length === 0
      ? Option.none()
      : Option.some(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]))
  )
  return Stream.concat(chunks, Stream.succeed(lastChunk))
}

/** The package of the client for other URLs, an optional peer, is not installed. */
export class MissingPackage extends Data.TaggedError("MissingPackage")<{ readonly cause: unknown }> {
  override get message(): string {
    return "the client of a test server needs the package @effect/platform-node for URLs of HTTPS"
  }
}

/** Makes the client of other URLs. */
export type Elsewhere = Effect.Effect<HttpClient.HttpClient, MissingPackage>

/** The client of the pool's server; URLs that it cannot reach are another's. */
export const kitClient = (pool: ConnectionPool, elsewhere: Elsewhere): HttpClient.HttpClient =>
  HttpClient.make((request, url, signal) => {
    if (url.protocol !== "http:") {
      return Effect.withTracerEnabled(
        Effect.flatMap(
          Effect.mapError(elsewhere, (cause) => failed(request, "Transport", cause)),
          (client) => client.execute(request)
        ),
        false
      )
    }
    const responseOf = (asked: Asked): Effect.Effect<HttpClientResponse.HttpClientResponse, RequestError> =>
      Effect.mapBoth(asked.answered, {
        onFailure: (cause) => failed(request, "Transport", cause),
        onSuccess: (answer) =>
          new ClientResponse(
            request,
            answer,
            Option.map(asked.connection.remote, ({ hostname }) => hostname)
          )
      })
    const sendWhole = (headers: Headers, bytes: Buffer) => {
      const asked = begun(pool, request, headers, url, signal, bytes.length)
      if (HttpClientError.isHttpClientError(asked)) return Effect.fail(asked)
      if (bytes.length > 0) asked.connection.send(bytes)
      asked.connection.sent()
      return responseOf(asked)
    }
    const { body, headers } = request
    switch (body._tag) {
      case "Empty":
        return sendWhole(headers, nothing)
      case "Uint8Array":
      case "Raw": {
        const bytes = bytesOf(body.body)
        return bytes === undefined
          ? Effect.fail(failed(request, "Encode", new TypeError("a raw body is to be text or bytes")))
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
        const asked = begun(pool, request, headers, url, signal, body.contentLength ?? "Chunked")
        if (HttpClientError.isHttpClientError(asked)) return Effect.fail(asked)
        const isChunked = headers["content-length"] === undefined && body.contentLength === undefined
        const sent = Stream.runForEach(framedStream(body.stream, isChunked), (piece) =>
          asked.send(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength))
        ).pipe(
          Effect.mapError((cause) => failed(request, "Encode", cause)),
          // What has ended takes no more, and its answer may be there all the same.
          Effect.raceFirst(asked.ended)
        )
        return Effect.zipRight(
          Effect.zipRight(
            sent,
            Effect.sync(() => asked.connection.sent())
          ),
          responseOf(asked),
          { concurrent: true }
        ).pipe(Effect.onError(() => Effect.sync(() => asked.connection.reset(aborted))))
      }
    }
  })
