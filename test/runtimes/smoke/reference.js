/**
 * TLS clients in a process of the Node that runs the script, for what the client of another runtime does differently: pausing,
 * resumption, and the error of a reset.
 */
import { lastGet, openTls, pause, readSlowly } from "./client.js"

const { mode, port, ...options } = JSON.parse(process.argv[2])

const reading = async (client, read) => {
  client.socket.removeAllListeners("data")
  const total = read(client.socket)
  client.send(lastGet("/"))
  return { total: await total }
}

const turn = { bytesPerTurn: 1024 * 1024, turn: 100 }

const modes = {
  slowly: async () => reading(await openTls(port, options), (socket) => readSlowly(socket, turn)),
  stalled: async () =>
    reading(await openTls(port, options), async (socket) => {
      socket.pause()
      await pause(2500)
      let total = 0
      socket.on("data", (bytes) => {
        total += bytes.length
      })
      socket.resume()
      await new Promise((resolve) => socket.once("close", resolve))
      return total
    }),
  reset: async () => {
    const client = await openTls(port, options)
    client.send("GET / HTTP/1.0\r\n\r\n")
    await client.receive(/part/)
    console.log("received")
    await client.closed()
    return { error: client.error?.code }
  },
  resume: async () => {
    const first = await openTls(port, options)
    let session = first.socket.getSession()
    first.socket.on("session", (given) => {
      session = given
    })
    first.send(lastGet("/"))
    const before = await first.ended()
    first.socket.destroy()
    const second = await openTls(port, { ...options, session })
    second.send(lastGet("/"))
    const after = await second.ended()
    second.socket.destroy()
    return { before, after }
  }
}

console.log(JSON.stringify(await modes[mode]()))
