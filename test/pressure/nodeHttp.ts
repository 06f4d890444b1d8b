/** `node:http` in a process of its own, to be compared with: responds to every request with "ok". */
import { createServer } from "node:http"
import { portOf } from "../bench/portOf.js"
import { census } from "./census.js"
import { type Census, fromText, type Numbered, type Question, type Reply } from "./protocol.js"

/** As long as ours keeps a connection that is idle. */
const keepAliveTimeout = 60_000

export const serveNodeHttp = (reply: (number: number, content: Reply) => void): void => {
  const server = createServer({ keepAliveTimeout }, (_, response) => {
    response.setHeader("Content-Length", 2)
    response.end("ok")
  })
  const answerTo = async ({ _tag }: Question): Promise<unknown> => {
    if (_tag === "Listen") return await portOf(server)
    const seen = await census(false)
    return { ...seen, held: 0, fibers: 0, handlers: 0, begun: 0 } satisfies Census
  }
  process.on("message", async ({ content, number }: Numbered<string>) => {
    reply(number, { response: await answerTo(fromText(content)) })
  })
  console.log("ready")
}
