/** The result of Node's own HTTP client for a response. */
import * as Http from "node:http"
import { createServer, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { RequestContext } from "../../src/testing/internal/client/responseHead.js"
import { codeOf } from "./clients.js"

interface Seen {
  status: number | undefined
  body: string
  isComplete: boolean
  /** The first error of the parser, else the first error. */
  error: string | undefined
}

const record = (seen: Seen, stream: Duplex | Http.IncomingMessage): void => {
  stream.on("data", (bytes: Buffer) => {
    seen.body += bytes.toString("latin1")
  })
  stream.on("end", () => {
    seen.isComplete = true
  })
}

const note = (seen: Seen, error: unknown): void => {
  const code = codeOf(error)
  if (seen.error === undefined || (code.startsWith("HPE_") && !seen.error.startsWith("HPE_"))) seen.error = code
}

const wordsOf = ({ body, error, isComplete, status }: Seen): string => {
  if (error?.startsWith("HPE_") === true) return error
  if (status === undefined) return error ?? "nothing"
  return isComplete ? `${status} ${body}` : `${status}, then ${error}`
}

/** Listens on a free port, and ends each connection after one text. */
const serve = (text: string, onPort: (port: number, close: () => void) => void): void => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.once("data", () => socket.end(text, "latin1"))
  })
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("not a TCP server that is listening")
    onPort(address.port, () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
  })
}

/**
 * `200 Hello` for a status and its content, `200, then CODE` for content that is cut, or the code of an error. What the
 * parser rejects is the verdict also if it follows a complete response. Never waits: the server ends the connection.
 */
export const nodeVerdict = (text: string, { method, upgrade }: RequestContext): Promise<string> =>
  new Promise((resolve) => {
    serve(text, (port, close) => {
      const seen: Seen = { status: undefined, body: "", isComplete: false, error: undefined }
      const agent = new Http.Agent({ keepAlive: true })
      const headers = upgrade === undefined ? {} : { connection: "upgrade", upgrade }
      const path = method === "CONNECT" ? "test:1" : "/"
      const request = Http.request({ host: "127.0.0.1", port, agent, method, path, headers })
      const onTunnel = ({ statusCode }: Http.IncomingMessage, socket: Duplex, first: Buffer): void => {
        seen.status = statusCode
        seen.body = first.toString("latin1")
        record(seen, socket)
      }
      request.on("response", (response) => {
        seen.status = response.statusCode
        response.on("error", (error) => note(seen, error))
        record(seen, response)
      })
      request.on("connect", onTunnel)
      request.on("upgrade", onTunnel)
      request.on("error", (error) => note(seen, error))
      request.on("socket", (socket) => {
        // After the last event of the request and of its response.
        socket.once("close", () =>
          setImmediate(() => {
            agent.destroy()
            close()
            resolve(wordsOf(seen))
          })
        )
      })
      request.end()
    })
  })
