/**
 * One request, one response, by three clients: Node's `http.Agent` with keep-alive, `fetch`, and curl.
 */
import { spawn, spawnSync } from "node:child_process"
import * as http from "node:http"
import * as net from "node:net"

export interface Call {
  readonly method: string
  readonly url: string
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly body?: string | Buffer | undefined
}

export interface ClientResponse {
  readonly status: number
  /** By lower-case name; values of a repeated name are joined. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export type Client = (call: Call) => Promise<ClientResponse>

/** Calls through an agent; a body is sent by its length, unless `Transfer-Encoding` is given. */
export const byAgent =
  (agent: http.Agent): Client =>
  ({ body, headers = {}, method, url }) =>
    new Promise((resolve, reject) => {
      const isChunked = body === undefined || "Transfer-Encoding" in headers
      const length = isChunked ? {} : { "Content-Length": String(Buffer.byteLength(body)) }
      const request = http.request(url, { agent, method, headers: { ...length, ...headers } }, (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () => {
          const fields = Object.entries(response.headersDistinct)
          resolve({
            status: response.statusCode ?? 0,
            headers: new Map(fields.map(([name, values]) => [name, (values ?? []).join(", ")])),
            body: Buffer.concat(chunks)
          })
        })
      })
      request.on("error", reject)
      request.end(body)
    })

export const byFetch: Client = async ({ body, headers, method, url }) => {
  const init = { method, ...(headers === undefined ? {} : { headers }), ...(body === undefined ? {} : { body }) }
  const response = await fetch(url, { ...init, redirect: "manual" })
  return {
    status: response.status,
    headers: new Map(response.headers),
    body: Buffer.from(await response.arrayBuffer())
  }
}

export const hasCurl = spawnSync("curl", ["--version"], { stdio: "ignore" }).status === 0

/** The last header section of what curl printed, and everything after it. */
const parse = (printed: Buffer): ClientResponse => {
  let rest = printed
  for (;;) {
    const end = rest.indexOf("\r\n\r\n")
    const [status = "", ...lines] = rest.subarray(0, end).toString("latin1").split("\r\n")
    const body = rest.subarray(end + 4)
    if (!/^HTTP\/1\.1 1\d\d /.test(status)) {
      const headers = new Map<string, string>()
      for (const line of lines) {
        const name = line.slice(0, line.indexOf(":")).toLowerCase()
        const value = line.slice(line.indexOf(":") + 1).trim()
        headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value)
      }
      return { status: Number(status.split(" ")[1]), headers, body }
    }
    rest = body
  }
}

export const byCurl: Client = ({ body, headers = {}, method, url }) =>
  new Promise((resolve, reject) => {
    const method_ = method === "HEAD" ? ["--head"] : ["--request", method]
    const fields = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`])
    const content = body === undefined ? [] : ["--data-binary", "@-"]
    const args = ["--silent", "--show-error", "--include", "--path-as-is", "--max-time", "30"]
    const child = spawn("curl", [...args, ...method_, ...fields, ...content, url], { stdio: ["pipe", "pipe", "pipe"] })
    const chunks: Array<Buffer> = []
    let errors = ""
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text
    })
    child.on("error", reject)
    child.on("close", (code) => {
      if (code === 0) resolve(parse(Buffer.concat(chunks)))
      else reject(new Error(`curl ended with ${code}: ${errors}`))
    })
    child.stdin.on("error", () => {})
    child.stdin.end(body)
  })

/** Sends bytes, and gives all that comes until the server ends the connection. */
export const raw = (url: string, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const socket = net.connect(Number(port), hostname.replace(/^\[|\]$/g, ""))
    let got = ""
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      got += chunk
    })
    socket.setTimeout(30_000, () => socket.destroy(new Error(`silence after ${JSON.stringify(got)}`)))
    socket.on("error", reject)
    socket.on("close", () => resolve(got))
    socket.write(bytes, "latin1")
  })
