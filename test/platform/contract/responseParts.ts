import * as HttpApp from "@effect/platform/HttpApp"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ParsedResponse } from "../../support/parsedResponse.js"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export const chunks = Stream.make(bytes("in "), bytes("pieces"))

/** By a handler that is there still when the application has ended. */
export const prepared = (app: HttpApp.Default, handler: HttpApp.PreResponseHandler): HttpApp.Default =>
  Effect.zipRight(HttpApp.appendPreResponseHandler(handler), app)

export const framingOf = (response: ParsedResponse): string | undefined =>
  response.header("Transfer-Encoding") ?? response.header("Content-Length")
