/**
 * A client that sends and receives raw bytes, over TCP, a Unix domain socket or TLS.
 */
import { spawn } from "node:child_process"
import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { fileURLToPath } from "node:url"

/** A connected socket, with what it has received and how it has ended. */
const clientOf = (socket) => {
  const watchers = new Set()
  const client = { socket, text: "", error: undefined, isEnded: false, isClosed: false }
  const changed = () => {
    for (const watch of watchers) watch()
  }
  socket.on("data", (bytes) => {
    client.text += bytes.toString("latin1")
    changed()
  })
  socket.on("end", () => {
    client.isEnded = true
    changed()
  })
  socket.on("error", (error) => {
    client.error = error
    changed()
  })
  socket.on("close", () => {
    client.isClosed = true
    changed()
  })
  const until = (isReached) =>
    new Promise((resolve, reject) => {
      const watch = () => {
        if (!isReached() && !client.isClosed) return
        watchers.delete(watch)
        if (isReached()) resolve(client.text)
        else reject(new Error(`closed (${client.error?.code}) after ${JSON.stringify(client.text.slice(-200))}`))
      }
      watchers.add(watch)
      watch()
    })
  return Object.assign(client, {
    send: (text) => socket.write(text, "latin1"),
    /** Waits for text that matches. */
    receive: (pattern) => until(() => pattern.test(client.text)),
    /** Waits until the server has ended the connection, in whatever way. */
    ended: () => until(() => client.isEnded || client.isClosed || client.error !== undefined),
    closed: () => until(() => client.isClosed)
  })
}

const connected = (socket, event) =>
  new Promise((resolve, reject) => {
    socket.once("error", reject)
    socket.once(event, () => {
      socket.off("error", reject)
      resolve(socket)
    })
  })

/** Connects to a port of loopback, or to a path. */
export const open = async (to, options = {}) => {
  const at = typeof to === "number" ? { port: to, host: "127.0.0.1" } : { path: to }
  return clientOf(await connected(connect({ ...at, ...options }), "connect"))
}

/** Connects with TLS, and completes the handshake. */
export const openTls = async (port, options) =>
  clientOf(
    await connected(connectTls({ port, host: "127.0.0.1", servername: "localhost", ...options }), "secureConnect")
  )

/** Sends a request on a connection of its own, and returns all that is received. */
export const exchange = async (to, request) => {
  const client = await open(to)
  client.send(request)
  const text = await client.ended()
  client.socket.destroy()
  return text
}

export const get = (path, ...fields) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`

export const lastGet = (path) => get(path, "Connection: close")

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Reads at a steady rate until the end, and returns the number of bytes. */
export const readSlowly = (socket, { bytesPerTurn, turn }) =>
  new Promise((resolve, reject) => {
    let total = 0
    let inTurn = 0
    socket.on("data", (bytes) => {
      total += bytes.length
      inTurn += bytes.length
      if (inTurn < bytesPerTurn) return
      inTurn = 0
      socket.pause()
      setTimeout(() => socket.resume(), turn)
    })
    socket.once("error", (error) => reject(new Error(`${error.code} after ${total} bytes`)))
    socket.once("close", () => resolve(total))
    socket.once("end", () => resolve(total))
  })

/** Runs a client of `reference.js`, calls `onReceived` when it has received a part, and returns its result. */
export const reference = (options, onReceived = () => {}) =>
  new Promise((resolve, reject) => {
    const script = fileURLToPath(new URL("reference.js", import.meta.url))
    const child = spawn(process.env.SMOKE_NODE, [script, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (bytes) => {
      if (/^received$/m.test(output)) {
        output += bytes
        return
      }
      output += bytes
      if (/^received$/m.test(output)) onReceived()
    })
    child.once("error", reject)
    child.once("close", () => {
      const [json] = /^\{.*\}$/m.exec(output) ?? []
      if (json === undefined) reject(new Error(`no result: ${output}`))
      else resolve(JSON.parse(json))
    })
  })
