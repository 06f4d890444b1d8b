/**
 * What a handler in Effect does, whichever server runs it: a service, a span and a log line, and a stream. Here and in
 * the peers Effect is imported by its modules: all of it would be 40 MiB of memory that no server needs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { chunk, chunks, text } from "./content.js"

export class Greeter extends Context.Tag("Greeter")<
  Greeter,
  { readonly greet: (name: string) => Effect.Effect<string> }
>() {}

export const greeting: Effect.Effect<string, never, Greeter> = Effect.gen(function* () {
  const greeter = yield* Greeter
  const greeted = yield* greeter.greet("bench")
  yield* Effect.log("greeted", greeted)
  return greeted
}).pipe(Effect.withSpan("greeting"))

/** 100 MiB in pieces, one a pull, as a file gives them. */
export const download: Stream.Stream<Uint8Array> = Stream.unfold(0, (given) =>
  given < chunks ? Option.some([chunk, given + 1]) : Option.none()
)

/** A line is formatted and thrown away: a terminal or a pipe would be most of what is measured. */
const formatted = Logger.map(Logger.logfmtLogger, () => {})

export const live: Layer.Layer<Greeter> = Layer.merge(
  Layer.succeed(Greeter, { greet: () => Effect.succeed(text) }),
  Logger.replace(Logger.defaultLogger, formatted)
)
