/** The client of the model: what it may ask for, where it stands in what it sends, and the bytes of it. */

/** What a client asks for. */
export interface Asked {
  readonly method: "POST" | "CONNECT"
  readonly minor: 0 | 1
  readonly fields: ReadonlyArray<string>
  /** Bytes of its body, or `undefined` for chunks. */
  readonly length: number | undefined
  /** Whether the client may send another request after it. */
  readonly keepsAlive: boolean
  /** Whether it waits for `100 Continue` with its body. */
  readonly isPatient: boolean
  /** The head that hands the connection over, without `Date`, if the client takes one. */
  readonly handedOverBy: string | undefined
}

const plain: Asked = {
  method: "POST",
  minor: 1,
  fields: [],
  length: 0,
  keepsAlive: true,
  isPatient: false,
  handedOverBy: undefined
}

const expecting = "Expect: 100-continue"

export const asked = {
  get: plain,
  close: { ...plain, fields: ["Connection: close"], keepsAlive: false },
  short: { ...plain, length: 10 },
  long: { ...plain, length: 1000 },
  chunked: { ...plain, length: undefined },
  patient: { ...plain, fields: [expecting], length: 10, isPatient: true },
  old: { ...plain, minor: 0, keepsAlive: false },
  // In HTTP/1.0 nothing waits for 100 (RFC 9110 §10.1.1).
  oldKept: { ...plain, minor: 0, fields: ["Connection: keep-alive", expecting], length: 10 },
  offer: {
    ...plain,
    fields: ["Connection: upgrade", "Upgrade: echo"],
    handedOverBy: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
  },
  connect: { ...plain, method: "CONNECT", handedOverBy: "HTTP/1.1 200 OK\r\n\r\n" }
} as const satisfies Record<string, Asked>

export type Kind = keyof typeof asked

export const askedBy = (kind: Kind): Asked => asked[kind]

const targetOf = (kind: Kind, number: number): string =>
  askedBy(kind).method === "CONNECT" ? `a:${number}` : `/${number}`

/** The head of the request of that number. */
const headOf = (kind: Kind, number: number): string => {
  const { fields, length, method, minor } = askedBy(kind)
  const framing =
    length === undefined ? ["Transfer-Encoding: chunked"] : length > 0 ? [`Content-Length: ${length}`] : []
  const lines = [`${method} ${targetOf(kind, number)} HTTP/1.${minor}`, "Host: a", ...fields, ...framing]
  return `${lines.join("\r\n")}\r\n\r\n`
}

/** Where a part of a head ends: within the name of its first field. */
const cutIn = (head: string): number => head.indexOf("Host") + 2

/** Bytes of a piece of a body. */
const pieceOf = (kind: Kind): number => (kind === "long" ? 60 : 5)

/** So much of a body; nothing is the end of chunks. */
const bodyOf = (kind: Kind, length: number): string => {
  if (askedBy(kind).length !== undefined) return "x".repeat(length)
  return length === 0 ? "0\r\n\r\n" : `${length.toString(16)}\r\n${"x".repeat(length)}\r\n`
}

export type Sends =
  | { readonly _tag: "Head" | "PartOfHead" | "Pipelined"; readonly kind: Kind }
  | { readonly _tag: "RestOfHead" | "Body" | "LastBody" | "BadBody" | "Nonsense" }

/** A piece of what was sent: what it means in HTTP, and its bytes outside HTTP. */
export type Item = { readonly text: string } & (
  | { readonly _tag: "Head"; readonly kind: Kind; readonly target: string }
  | { readonly _tag: "Data"; readonly length: number }
  | { readonly _tag: "End" | "BadBody" | "Nonsense" | "PartOfHead" }
)

type Standing =
  | { readonly _tag: "Between" | "Broken" | "Silent" }
  | { readonly _tag: "InHead"; readonly kind: Kind }
  | { readonly _tag: "InBody"; readonly kind: Kind; readonly left: number | undefined }

export class Client {
  private standing: Standing = { _tag: "Between" }
  /** Heads that are whole. */
  private heads = 0

  /** It sends nothing more. */
  fallSilent(): void {
    this.standing = { _tag: "Silent" }
  }

  get isSilent(): boolean {
    return this.standing._tag === "Silent"
  }

  canSend(sends: Sends): boolean {
    const { standing } = this
    switch (sends._tag) {
      case "Head":
      case "PartOfHead":
      case "Nonsense":
        return standing._tag === "Between"
      case "Pipelined":
        return standing._tag === "Between" && askedBy(sends.kind).length === 0
      case "RestOfHead":
        return standing._tag === "InHead"
      case "Body":
        return standing._tag === "InBody" && (standing.left === undefined || standing.left > pieceOf(standing.kind))
      case "LastBody":
        return standing._tag === "InBody"
      case "BadBody":
        return standing._tag === "InBody" && standing.left === undefined
    }
  }

  /** What it sends. The rest of a head is that whole head, but for the bytes that its part had. */
  send(sends: Sends): ReadonlyArray<Item> {
    const { standing } = this
    switch (sends._tag) {
      case "Head":
        return [this.head(sends.kind)]
      case "Pipelined":
        return [this.head("get"), this.head(sends.kind), this.head("get")]
      case "PartOfHead": {
        this.standing = { _tag: "InHead", kind: sends.kind }
        const head = headOf(sends.kind, this.heads + 1)
        return [{ _tag: "PartOfHead", text: head.slice(0, cutIn(head)) }]
      }
      case "RestOfHead": {
        if (standing._tag !== "InHead") return []
        const head = this.head(standing.kind)
        return [{ ...head, text: head.text.slice(cutIn(head.text)) }]
      }
      case "Body":
        return standing._tag === "InBody" ? [this.data(standing.kind, pieceOf(standing.kind), standing.left)] : []
      case "LastBody": {
        if (standing._tag !== "InBody") return []
        this.standing = { _tag: "Between" }
        const { kind, left } = standing
        if (left === undefined) return [{ _tag: "End", text: bodyOf(kind, 0) }]
        return [
          { _tag: "Data", length: left, text: bodyOf(kind, left) },
          { _tag: "End", text: "" }
        ]
      }
      case "BadBody":
        this.standing = { _tag: "Broken" }
        return [{ _tag: "BadBody", text: "five\r\n" }]
      case "Nonsense":
        this.standing = { _tag: "Broken" }
        return [{ _tag: "Nonsense", text: "nonsense\r\n" }]
    }
  }

  private head(kind: Kind): Item {
    const left = askedBy(kind).length
    const number = ++this.heads
    this.standing = left === 0 ? { _tag: "Between" } : { _tag: "InBody", kind, left }
    return { _tag: "Head", kind, target: targetOf(kind, number), text: headOf(kind, number) }
  }

  private data(kind: Kind, length: number, left: number | undefined): Item {
    this.standing = { _tag: "InBody", kind, left: left === undefined ? undefined : left - length }
    return { _tag: "Data", length, text: bodyOf(kind, length) }
  }
}
