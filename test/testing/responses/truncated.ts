/** Responses that are incomplete when their connection ends. */
import { five, helloChunk, inChunks, ok, type Truncated } from "./cases.js"

export const truncated: ReadonlyArray<Truncated> = [
  { title: "nothing", text: "" },
  { title: "a status line that ends early", text: "HTTP/1.1 200 O" },
  { title: "a status line without its LF", text: "HTTP/1.1 200 OK\r" },
  { title: "a head that ends in a field", text: `${ok}Content-` },
  { title: "a head without its empty line", text: `${ok}${five}` },
  { title: "a head without its last LF", text: `${ok}${five}\r` },
  { title: "an interim response alone", text: "HTTP/1.1 100 Continue\r\n\r\n" },
  { title: "less than the length", text: `${ok}${five}\r\nHell` },
  { title: "nothing of the length", text: `${ok}${five}\r\n` },
  { title: "a chunk that ends early", text: `${inChunks}5\r\nHell` },
  { title: "a chunk without its line end", text: `${inChunks}5\r\nHello` },
  { title: "chunks without the last", text: helloChunk },
  { title: "a last chunk without its line end", text: `${helloChunk}0` },
  { title: "a last chunk without the empty line", text: `${helloChunk}0\r\n` },
  { title: "a trailer section that ends early", text: `${helloChunk}0\r\nX: y\r\n` }
]
