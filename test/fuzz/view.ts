/** What a server makes of a stream of bytes, in words that every server has. */

export interface Seen {
  readonly method: string
  readonly target: string
  readonly version: string
  /** Names and values in turn, as sent; latin1. */
  readonly fields: ReadonlyArray<string>
  readonly body: string
  readonly trailers: ReadonlyArray<string>
  /** Whether all of it has come. */
  readonly ended: boolean
}

export interface View {
  readonly requests: ReadonlyArray<Seen>
  /** `why` is the server's own word for it. */
  readonly ending:
    | { readonly _tag: "Idle" }
    | { readonly _tag: "NeedsMore" }
    | { readonly _tag: "Refused"; readonly why: string; readonly status: number }
}
