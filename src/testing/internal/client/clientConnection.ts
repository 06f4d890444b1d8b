/**
 * A client's connection, with one exchange at a time, and the pool in which it waits for the next one.
 *
 * @internal
 */
import { visible } from "../../../internal/visible.js"
import { Answer, type Source } from "./answer.js"
import type { ClientEnd, ClientLink } from "./clientLink.js"
import { type Broken, ResponseReader } from "./responseReader.js"

/** An error of Node's own, with the code that it gives. */
const coded = (message: string, code: string): Error => Object.assign(new Error(message), { code })

const parseError = ({ code, saw }: Broken): Error => coded(`Parse Error: ${visible(JSON.stringify(saw))}`, code)

const hungUp = (): Error => coded("socket hang up", "ECONNRESET")

const unasked = (): Error => new Error("the server sends what it was not asked for")

/** Who waits for an answer. */
export interface Asking {
  readonly method: string
  readonly onHead: (answer: Answer) => void
  readonly onFailure: (error: Error) => void
  /** Nothing more comes of it, and nothing more is read of what it sends. */
  readonly onOver: () => void
}

export class ClientConnection implements ClientEnd, Source {
  private readonly reader = new ResponseReader()
  private asking: Asking | undefined
  private answer: Answer | undefined
  private isSending = false
  private isKept = true
  private isGone = false

  constructor(
    private readonly link: ClientLink,
    private readonly pool: ConnectionPool
  ) {}

  /** Whether it may be asked: its server has not ended it, though the word of that may be on its way. */
  get isUsable(): boolean {
    return !this.isGone && this.link.ending === "Open" && this.link.unread === 0
  }

  get remote(): ClientLink["local"] {
    return this.link.local
  }

  /** Asks; `sent` says when all of it has been sent. */
  ask(asking: Asking, isKept: boolean): void {
    this.asking = asking
    this.answer = undefined
    this.isKept = isKept
    this.isSending = true
  }

  send(bytes: Buffer, done: () => void = () => {}): void {
    if (this.isGone) done()
    else this.link.send(bytes, done)
  }

  sent(): void {
    this.isSending = false
    if (this.asking === undefined) this.free()
  }

  deliver(): void {
    const { link } = this
    if (this.isGone || this.answer?.isFull === true) return
    if (link.unread > 0) {
      this.received(link.take())
      if (link.ending !== "Open") link.look()
    } else if (link.ending === "RST") this.fail(link.failure())
    else if (link.ending === "FIN") this.ended()
  }

  readOn(): void {
    if (this.link.unread > 0 || this.link.ending !== "Open") this.link.look()
  }

  reset(why: () => Error): void {
    this.gone("RST", why)
  }

  private received(bytes: Buffer): void {
    this.pool.onDelivered()
    this.reader.feed(bytes)
    while (this.asking !== undefined) {
      const step = this.reader.next(this.asking.method)
      if (step === "NeedMore") return
      switch (step._tag) {
        case "Head":
          this.isKept &&= step.isKept
          this.answer = new Answer(step, this)
          this.asking.onHead(this.answer)
          break
        case "Body":
          this.answer?.add(step.bytes)
          break
        case "End":
          this.finish()
          break
        case "Broken":
          this.fail(parseError(step))
      }
    }
    // What nobody has asked for.
    if (this.reader.hasRest) this.gone("RST", unasked)
  }

  private finish(): void {
    const { asking } = this
    this.asking = undefined
    this.answer?.finish("Whole")
    this.answer = undefined
    if (!this.isKept) this.gone("FIN", hungUp)
    else if (!this.isSending) this.free()
    asking?.onOver()
  }

  private free(): void {
    if (!this.isGone) this.pool.free(this)
  }

  /** The server has sent FIN. */
  private ended(): void {
    if (this.asking === undefined) this.gone("FIN", hungUp)
    else if (this.reader.isUntilClose) this.finish()
    else this.fail(hungUp())
  }

  private fail(error: Error): void {
    // Behind a head Node says only that it was aborted, whatever has happened; but for what its parser refuses.
    const isOwn = this.answer === undefined || error.message.startsWith("Parse")
    this.gone("RST", () => (isOwn ? error : coded("aborted", "ECONNRESET")))
  }

  /** An error costs a stack trace: it is made for whoever is told of it. */
  private gone(how: "FIN" | "RST", why: () => Error): void {
    if (this.isGone) return
    this.isGone = true
    this.link.clientGone(how)
    this.pool.forget(this)
    const { answer, asking } = this
    this.asking = undefined
    if (asking === undefined) return
    if (answer === undefined) asking.onFailure(why())
    else answer.finish(why())
    asking.onOver()
  }
}

/** The connections of one client, all to one port. */
export class ConnectionPool {
  private readonly open = new Set<ClientConnection>()
  private idle: Array<ClientConnection> = []

  constructor(
    /** A connection with that end, unless nobody listens. */
    private readonly dial: (endOf: (link: ClientLink) => ClientEnd) => boolean,
    /** Told of bytes that have arrived. */
    readonly onDelivered: () => void
  ) {}

  /** One that is idle, else a new one; nothing, where nobody listens. */
  take(): ClientConnection | undefined {
    for (let last = this.idle.pop(); last !== undefined; last = this.idle.pop()) {
      if (last.isUsable) return last
    }
    let made: ClientConnection | undefined
    const isOpen = this.dial((link) => {
      made = new ClientConnection(link, this)
      this.open.add(made)
      return made
    })
    return isOpen ? made : undefined
  }

  free(connection: ClientConnection): void {
    this.idle.push(connection)
  }

  forget(connection: ClientConnection): void {
    this.open.delete(connection)
    this.idle = this.idle.filter((each) => each !== connection)
  }

  destroy(): void {
    for (const connection of this.open) connection.reset(hungUp)
  }
}
