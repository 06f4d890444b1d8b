/** Connections that have each been served one request and say nothing more: what the server keeps for them. */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { setTimeout } from "node:timers/promises"
import type { Loading } from "./measuring.js"
import { resident } from "./proc.js"
import type { Running } from "./server.js"
import type { Idle } from "./workload.js"

/** Milliseconds that the connections stay idle: longer than any peer takes to let go of what it can make again. */
const idleFor = 3000

/** Fewer than the shortest queue of connections that a peer's system call asks for. */
const atOnce = 100

const served = async ({ port }: Running): Promise<Socket> => {
  const socket = connect({ port, host: "127.0.0.1" })
  socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
  await once(socket, "data")
  return socket
}

const open = async (server: Running, count: number): Promise<ReadonlyArray<Socket>> => {
  const sockets: Array<Socket> = []
  while (sockets.length < count) {
    const some = Math.min(atOnce, count - sockets.length)
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => served(server)))))
  }
  return sockets
}

const close = async (sockets: ReadonlyArray<Socket>): Promise<void> => {
  const closed = sockets.map((socket) => once(socket, "close"))
  for (const socket of sockets) socket.destroy()
  await Promise.all(closed)
}

export const idling = ({ connections }: Idle): Loading => ({
  isFresh: true,
  connections,
  obstacle: undefined,

  check: async (server) => close(await open(server, 1)),

  // What is loaded and compiled with the first connections is not theirs.
  warmUp: async (server) => close(await open(server, atOnce)),

  sample: async (server) => {
    const collected = await server.ask("collect")
    const before = resident(server.pid)
    const sockets = await open(server, connections)
    await setTimeout(idleFor)
    const after = await server.ask("collect")
    const perConnection = (resident(server.pid) - before) / connections
    const broken = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length
    await close(sockets)
    if (broken > 0) throw new Error(`${broken} of ${connections} connections did not stay open`)
    return { perConnection, heapPerConnection: after && collected && (after.heap - collected.heap) / connections }
  }
})
