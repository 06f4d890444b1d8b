/** What is logged, as a layer and the lines it has kept. */
import type * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Condition } from "../support/eventually.js"

export interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: { readonly [name: string]: unknown }
}

export class Lines {
  readonly all: Array<Line> = []
  private readonly condition = new Condition()

  readonly layer: Layer.Layer<never> = Layer.merge(
    Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations, logLevel, message }) => {
        const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
        this.all.push({
          level: logLevel.label,
          message: text,
          annotations: Object.fromEntries(HashMap.toEntries(annotations))
        })
        this.condition.notify()
      })
    ),
    Logger.minimumLogLevel(LogLevel.Debug)
  )

  /** Waits for a line. */
  readonly some = (isIt: (line: Line) => boolean): Effect.Effect<Line> =>
    this.condition.until(
      () => this.all.find(isIt),
      () => `a line; there are ${JSON.stringify(this.all)}`
    )

  /** How many lines there are with a text in them. */
  readonly count = (text: string): number => this.all.filter(({ message }) => message.includes(text)).length
}
