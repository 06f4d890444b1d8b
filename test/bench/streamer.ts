/**
 * The client of a stream, as a process of its own: `streamer.js down PORT TIMES` reads 100 MiB that many times, `up`
 * sends them; prints the seconds. It looks at as little as it can.
 */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { chunk, chunks, streamed } from "./content.js"

const [direction, port, times] = process.argv.slice(2)

let arrived = 0
let onArrival = (): void => {}
let lately = ""

// One buffer for all that is read: an allocation a read would be most of what this process does.
const socket: Socket = connect({
  port: Number(port),
  host: "127.0.0.1",
  noDelay: true,
  onread: {
    buffer: Buffer.alloc(256 * 1024),
    callback: (length, bytes) => {
      arrived += length
      if (lately.length < 4096) lately += Buffer.from(bytes.buffer, 0, Math.min(length, 4096)).toString("latin1")
      onArrival()
      return true
    }
  }
})

const until = (isThere: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    onArrival = () => {
      if (isThere()) resolve()
    }
    onArrival()
  })

const headLength = async (): Promise<number> => {
  await until(() => lately.includes("\r\n\r\n"))
  if (!/^HTTP\/1.1 200 /.test(lately)) throw new Error(`answered ${lately.slice(0, 200)}`)
  return lately.indexOf("\r\n\r\n") + 4
}

const forget = (): void => {
  arrived = 0
  lately = ""
}

const down = async (): Promise<void> => {
  forget()
  socket.write("GET /download HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
  const head = await headLength()
  await until(() => arrived >= head + streamed)
}

const up = async (): Promise<void> => {
  forget()
  socket.write(`POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${streamed}\r\n\r\n`)
  for (let i = 0; i < chunks; i++) if (!socket.write(chunk)) await once(socket, "drain")
  await headLength()
  await until(() => lately.includes(`\r\n\r\n${streamed}`))
}

socket.on("close", () => {
  throw new Error("the server closed the connection")
})
await once(socket, "connect")
const began = performance.now()
for (let i = 0; i < Number(times); i++) await (direction === "down" ? down() : up())
console.log((performance.now() - began) / 1000)
process.exit()
