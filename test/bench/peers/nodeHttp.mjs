/** `node:http`, with the same answer. */
import { createServer } from "node:http"

const server = createServer((_request, response) => {
  response.setHeader("Content-Type", "text/plain; charset=utf-8")
  response.setHeader("Content-Length", 2)
  response.end("ok")
})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
