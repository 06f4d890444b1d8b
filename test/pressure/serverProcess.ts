/** A process under pressure, seen from outside. */
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Options } from "../../src/Server.js"
import { end, firstLine, start } from "../bench/proc.js"
import { type Census, type Closed, type Numbered, type Question, type Reply, toText, type Which } from "./protocol.js"

const program = fileURLToPath(new URL("./serving.ts", import.meta.url))

export interface ServerProcessOptions {
  readonly which?: Which
  /** The soft limit on descriptors; the runtime raises a soft limit to the hard one, so that one is lowered too. */
  readonly descriptors?: number
  readonly watchesTimers?: boolean
}

const commandOf = ({ descriptors, watchesTimers, which = "ours" }: ServerProcessOptions): ReadonlyArray<string> => {
  const node = [
    process.execPath,
    "--expose-gc",
    "--conditions=effect-asynchttpserver-source",
    "--import",
    "tsx",
    program,
    which,
    ...(watchesTimers === true ? ["watchTimers"] : [])
  ]
  return descriptors === undefined ? node : ["sh", "-c", `ulimit -n ${descriptors} && exec "$0" "$@"`, ...node]
}

export class ServerProcess {
  private asked = 0
  private readonly waiting = new Map<number, (reply: Reply) => void>()
  private readonly died: Promise<never>
  isAlive = true

  private constructor(private readonly child: ChildProcess) {
    child.on("message", ({ content, number }: Numbered<Reply>) => {
      this.waiting.get(number)?.(content)
      this.waiting.delete(number)
    })
    this.died = once(child, "close").then(([code, signal]) => {
      this.isAlive = false
      throw new Error(`the server's process ended with ${code ?? signal}`)
    })
    this.died.catch(() => {})
  }

  static async start(options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const child = start(commandOf(options), { isAsked: true })
    await firstLine(child)
    return new ServerProcess(child)
  }

  get pid(): number {
    return this.child.pid ?? Number.NaN
  }

  private ask(content: Question): Promise<unknown> {
    const number = this.asked++
    const responded = new Promise((resolve, reject) => {
      this.waiting.set(number, (reply) =>
        "response" in reply ? resolve(reply.response) : reject(new Error(reply.failure))
      )
    })
    this.child.send({ number, content: toText(content) } satisfies Numbered<string>)
    return Promise.race([responded, this.died])
  }

  async census(): Promise<Census> {
    // Each question has answers of one kind, on either side of the channel.
    return (await this.ask({ _tag: "Census" })) as Census
  }

  /** Another server in it; its port. */
  async listen(options: Options = {}): Promise<number> {
    return (await this.ask({ _tag: "Listen", options })) as number
  }

  async close(port: number, by: "close" | "scope" = "close"): Promise<Closed> {
    return (await this.ask({ _tag: "Close", port, by })) as Closed
  }

  /** Milliseconds that interrupting that many fibers takes it, with no server around them. */
  async bareFibers(count: number): Promise<number> {
    return (await this.ask({ _tag: "BareFibers", count })) as number
  }

  end(): Promise<void> {
    return end(this.child)
  }
}
