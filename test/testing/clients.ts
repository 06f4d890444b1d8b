/** The results of three Node clients for a response, in a short form. */
import * as Http from "node:http"
import { text } from "node:stream/consumers"
import { HttpBody, HttpClientRequest } from "@effect/platform"
import { Effect, Either } from "effect"
import type { TestServer } from "effect-asynchttpserver/testing"
import * as Undici from "undici"

/** A request, and the progress of its response. */
export interface Asking {
  readonly url: string
  /** The body of a POST; else it is a GET. */
  readonly body: Uint8Array | undefined
  readonly signal: AbortSignal
  readonly onStatus: (status: number) => void
}

/** The content of the response. */
export type Client = (asking: Asking) => Promise<string>

const method = ({ body }: Asking): "GET" | "POST" => (body === undefined ? "GET" : "POST")

const byFetch: Client = async (asking) => {
  const body = asking.body === undefined ? null : Buffer.from(asking.body)
  const response = await fetch(asking.url, { method: method(asking), body, signal: asking.signal })
  asking.onStatus(response.status)
  return response.text()
}

const byUndici: Client = async (asking) => {
  const body = asking.body === undefined ? null : Buffer.from(asking.body)
  const response = await Undici.request(asking.url, { method: method(asking), body, signal: asking.signal })
  asking.onStatus(response.statusCode)
  return response.body.text()
}

/** Its connections are closed by their servers. */
const agent = new Http.Agent({ keepAlive: true })

const byNode: Client = (asking) =>
  new Promise((resolve, reject) => {
    const request = Http.request(asking.url, { agent, method: method(asking), signal: asking.signal }, (response) => {
      asking.onStatus(response.statusCode ?? 0)
      text(response).then(resolve, reject)
    })
    request.on("error", reject)
    request.end(asking.body)
  })

export const clients = {
  fetch: byFetch,
  "undici.request": byUndici,
  "node:http": byNode
} as const satisfies Readonly<Record<string, Client>>

/** The kit's own client of a server. */
export const kitClientOf =
  ({ client }: TestServer.TestServer): Client =>
  async ({ body, onStatus, signal }) => {
    const request =
      body === undefined ? HttpClientRequest.get("/") : HttpClientRequest.post("/", { body: HttpBody.uint8Array(body) })
    const content = Effect.flatMap(client.execute(request), (response) => {
      onStatus(response.status)
      return response.text
    })
    const result = await Effect.runPromise(Effect.either(content), { signal })
    if (Either.isLeft(result)) throw result.left
    return result.right
  }

/** The code of an error or of its cause, else its name: what programs check. */
export const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if ("code" in error && typeof error.code === "string") return error.code
  if (error.cause !== undefined) return codeOf(error.cause)
  return error.name === "Error" ? error.message : error.name
}
