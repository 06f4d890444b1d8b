/** The ceiling: a `node:net` server that writes a fixed answer for every head it sees, and checks nothing. */
import { createServer } from "node:net"

const answer =
  "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nok"

const heads = (bytes) => {
  let count = 0
  for (let at = bytes.indexOf("\r\n\r\n"); at >= 0; at = bytes.indexOf("\r\n\r\n", at + 4)) count++
  return count
}

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {})
  socket.on("data", (bytes) => {
    if (bytes.includes("Connection: close")) socket.end(answer, "latin1")
    else socket.write(answer.repeat(heads(bytes)), "latin1")
  })
})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
