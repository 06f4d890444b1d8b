/** Requests to an example with `@effect/platform`, and what is read of their responses. */
import { byCurl, byFetch, type Client, type ClientResponse, hasCurl } from "./client.js"

export const timeout = 120_000

export const waiting = { timeout: 20_000 }

export const clients: ReadonlyArray<Client> = hasCurl ? [byFetch, byCurl] : [byFetch]

export const textOf = ({ body }: ClientResponse): string => body.toString()

export const jsonOf = (response: ClientResponse): unknown => JSON.parse(textOf(response))

export const json = { "Content-Type": "application/json" }

export const post = (url: string, value: unknown) => ({
  method: "POST",
  url,
  headers: json,
  body: JSON.stringify(value)
})
