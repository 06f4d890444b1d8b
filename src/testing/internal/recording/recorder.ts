/** The recorded requests of one server, and the fibers that wait for the next one. */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ValueError } from "../../../Errors.js"
import type { HttpHeaders } from "../../../HttpHeaders.js"
import type { HttpMethod } from "../../../HttpMethod.js"
import type { HttpVersion } from "../../../HttpVersion.js"
import { parseJson } from "../../../internal/message/request.js"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { Request } from "../../../Request.js"
import type { Outcome, RecordedRequest } from "../../RecordedRequest.js"
import type { RecordingExchange } from "./recordingExchange.js"
import type { TrackedConnection } from "./trackedListener.js"

export class Recorded extends Inspectable.Class implements RecordedRequest {
  readonly method: HttpMethod
  readonly url: string
  readonly target: string
  readonly path: string
  readonly host: string
  readonly version: HttpVersion
  readonly headers: HttpHeaders
  readonly connection: number
  readonly exchangeIndex: number
  knownOutcome: Outcome | undefined
  hasEnded = false
  /** The handler has failed, whatever the outcome was before. */
  hasFailed = false
  private readonly outcomeSet = new Signal()
  private readonly search: string

  constructor(
    request: Request,
    readonly trackedConnection: TrackedConnection,
    readonly recordingExchange: RecordingExchange
  ) {
    super()
    this.method = request.method
    this.url = request.url
    this.target = request.originalUrl
    this.path = request.path
    this.host = request.host
    this.search = request.query
    this.version = request.version
    this.headers = request.headers
    this.connection = trackedConnection.index
    this.exchangeIndex = trackedConnection.requests++
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.search)
  }

  setOutcome(outcome: Outcome): void {
    if (this.knownOutcome !== undefined) return
    this.knownOutcome = outcome
    this.outcomeSet.wake()
  }

  readonly outcome: Effect.Effect<Outcome> = this.outcomeSet.until(() =>
    this.knownOutcome === undefined ? undefined : Effect.succeed(this.knownOutcome)
  )

  readonly bytes: Effect.Effect<Buffer> = Effect.suspend(() =>
    Effect.map(
      Effect.zipRight(this.recordingExchange.readUnrequested, this.recordingExchange.body.ended),
      () => this.recordingExchange.body.bytes
    )
  )

  readonly text: Effect.Effect<string> = Effect.map(this.bytes, (bytes) => bytes.toString("utf8"))

  readonly json: Effect.Effect<unknown, ValueError> = Effect.flatMap(this.text, parseJson)

  readonly isComplete: Effect.Effect<boolean> = Effect.map(
    this.bytes,
    () => this.recordingExchange.body.state === "Complete"
  )

  toJSON(): unknown {
    return {
      _id: "RecordedRequest",
      method: this.method,
      url: this.url,
      headers: this.headers.toJSON(),
      connection: this.connection,
      exchange: this.exchangeIndex,
      outcome: this.knownOutcome?._tag ?? "Pending"
    }
  }
}

export class Recorder {
  readonly all: Array<Recorded> = []
  private untaken: Array<Recorded> = []
  private readonly changed = new Signal()
  private isClosed = false

  add(recorded: Recorded): void {
    this.all.push(recorded)
    this.untaken.push(recorded)
    this.changed.wake()
  }

  close(): void {
    this.isClosed = true
    this.changed.wake()
  }

  /** Takes the first request that satisfies the predicate, waiting for it; an interrupted fiber takes none. */
  takeWhere(predicate: (request: RecordedRequest) => boolean): Effect.Effect<RecordedRequest> {
    return this.changed.until(() => {
      const found = this.untaken.find(predicate)
      if (found === undefined) return undefined
      this.untaken = this.untaken.filter((each) => each !== found)
      return Effect.succeed(found)
    })
  }

  /** All requests, past and future, until the server is closed. */
  get requests(): Stream.Stream<RecordedRequest> {
    return Stream.unwrap(
      Effect.sync(() => {
        let next = 0
        const following = this.changed.until((): Effect.Effect<RecordedRequest, Option.Option<never>> | undefined => {
          const request = this.all[next]
          if (request === undefined) return this.isClosed ? Effect.fail(Option.none()) : undefined
          next++
          return Effect.succeed(request)
        })
        return Stream.repeatEffectOption(following)
      })
    )
  }
}
