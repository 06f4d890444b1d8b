/** A running peer: its process, its port, and its statistics. */
import { once } from "node:events"
import { join } from "node:path"
import type { Peer } from "./peer.js"
import { end, firstLine, start } from "./proc.js"
import type { Memory, Question } from "./serving.js"

/** A peer that can be started here. */
export interface Runnable {
  readonly name: string
  readonly peer: Peer
  readonly command: ReadonlyArray<string>
}

export interface Running {
  readonly name: string
  readonly pid: number
  readonly port: number
  /** Nothing, when the peer is not written for Node. */
  readonly ask: (question: Question) => Promise<Memory | undefined>
  readonly end: () => Promise<void>
}

/** A peer as a command, its program built into a folder when it has to be. */
export const prepare = async (
  name: string,
  peer: Peer,
  folder: string
): Promise<Runnable | { readonly missing: string }> => {
  if (peer._tag === "Node") {
    return { name, peer, command: [process.execPath, "--expose-gc", join(folder, "serving.js"), name] }
  }
  const built = await peer.build(folder)
  return "missing" in built ? built : { name, peer, command: built }
}

/** Starts a peer on a core. */
export const run = async ({ command, name, peer }: Runnable, core: number): Promise<Running> => {
  const isAsked = peer._tag === "Node"
  const child = start(command, { core, isAsked })
  const port = Number(await firstLine(child))
  const ended = once(child, "close").then(() => {
    throw new Error("ended by itself")
  })
  ended.catch(() => {})
  return {
    name,
    pid: child.pid ?? Number.NaN,
    port,
    ask: async (question) => {
      if (!isAsked) return undefined
      child.send(question)
      const [memory]: Array<Memory> = await Promise.race([once(child, "message"), ended])
      return memory
    },
    end: () => end(child)
  }
}
