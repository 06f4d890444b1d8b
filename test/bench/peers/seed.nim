## Nim's std/asynchttpserver, with the routes of the bench. Its argument names the catalogue, a file of JSON.
import std/[asyncdispatch, asynchttpserver, asyncnet, json, os, strutils]

const
  pieces = 1600
  pieceSize = 64 * 1024

let
  catalogue = parseFile(paramStr(1))
  piece = repeat('x', pieceSize)
  text = newHttpHeaders({"Content-Type": "text/plain; charset=utf-8"})
  lastText = newHttpHeaders({"Content-Type": "text/plain; charset=utf-8", "Connection": "close"})
  asJson = newHttpHeaders({"Content-Type": "application/json"})

proc handler(request: Request) {.async, gcsafe.} =
  {.cast(gcsafe).}:
    case request.url.path
    of "/":
      # It closes behind its answer when it is asked to, and leaves it to the callback to say so.
      let closes = cmpIgnoreCase(request.headers.getOrDefault("connection"), "close") == 0
      await request.respond(Http200, "ok", if closes: lastText else: text)
    of "/json":
      await request.respond(Http200, $catalogue, asJson)
    of "/sleep":
      await sleepAsync(1)
      await request.respond(Http200, "ok", text)
    of "/bytes":
      await request.respond(Http200, $request.body.len, text)
    of "/download":
      await request.client.send("HTTP/1.1 200 OK\c\LContent-Type: text/plain; charset=utf-8\c\LContent-Length: " &
        $(pieces * pieceSize) & "\c\L\c\L")
      for i in 1 .. pieces:
        await request.client.send(piece)
    else:
      await request.respond(Http404, "")

proc main {.async.} =
  let server = newAsyncHttpServer()
  server.listen(Port(0), "127.0.0.1")
  echo server.getPort.uint16
  flushFile(stdout)
  while true:
    if server.shouldAcceptRequest():
      await server.acceptRequest(handler)
    else:
      await sleepAsync(500)

waitFor main()
