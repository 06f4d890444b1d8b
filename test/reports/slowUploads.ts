/** Clients of other languages that send all of a slow upload before they look for a response. */
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"

/** Pieces of an upload, their bytes, and the milliseconds between two of them: longer in all than one second. */
export const upload = { chunks: 8, bytes: 100_000, pause: 250 }

const python = `
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
connection.putrequest("POST", "/upload")
connection.putheader("Content-Length", str(${upload.chunks * upload.bytes}))
connection.endheaders()
for _ in range(${upload.chunks}):
    connection.send(b"x" * ${upload.bytes})
    time.sleep(${upload.pause / 1000})
response = connection.getresponse()
print(response.status, response.read().decode())
`

const java = `
import java.io.*;
import java.net.*;
import java.util.*;
import java.util.concurrent.*;
public class Upload {
  static String upload(String port) throws Exception {
    URL url = new URL("http://127.0.0.1:" + port + "/upload");
    HttpURLConnection connection = (HttpURLConnection) url.openConnection();
    connection.setRequestMethod("POST");
    connection.setDoOutput(true);
    connection.setReadTimeout(20000);
    connection.setFixedLengthStreamingMode(${upload.chunks * upload.bytes});
    try (OutputStream out = connection.getOutputStream()) {
      for (int i = 0; i < ${upload.chunks}; i++) {
        out.write(new byte[${upload.bytes}]);
        out.flush();
        Thread.sleep(${upload.pause});
      }
    }
    int status = connection.getResponseCode();
    InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream();
    // It keeps the content of a 401 to itself when it has sent a body that it cannot send again.
    return status + (body == null ? "" : " " + new String(body.readAllBytes()));
  }

  public static void main(String[] ports) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(ports.length);
    List<Future<String>> answers = new ArrayList<>();
    for (String port : ports) answers.add(threads.submit(() -> upload(port)));
    for (Future<String> answer : answers) System.out.println(answer.get().trim());
    threads.shutdown();
  }
}
`

const has = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

/** What a program has printed; all of it, errors too, when it fails. */
const printed = (command: string, args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.async<string>((resume) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    let err = ""
    child.stdout.on("data", (bytes) => (out += String(bytes)))
    child.stderr.on("data", (bytes) => (err += String(bytes)))
    child.on("close", (code) => resume(Effect.succeed(code === 0 ? out.trim() : `${command} failed: ${out}${err}`)))
    return Effect.sync(() => child.kill())
  })

const withFile = (name: string, content: string | Uint8Array, use: (path: string) => Effect.Effect<string>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "upload-"))
      writeFileSync(join(folder, name), content)
      return folder
    }),
    (folder) => use(join(folder, name)),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

export interface SlowClient {
  readonly name: string
  readonly isThere: boolean
  /** Uploads to each port at once; gives the status and the text of each response, or what went wrong. */
  readonly upload: (ports: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<string>>
}

/** The same for each of several ports, all at once. */
export const toEach =
  (one: (port: number) => Effect.Effect<string>): SlowClient["upload"] =>
  (ports) =>
    Effect.forEach(ports, one, { concurrency: "unbounded" })

export const programs: ReadonlyArray<SlowClient> = [
  {
    name: "Python's http.client",
    isThere: has("python3", "--version"),
    upload: toEach((port) => printed("python3", ["-c", python, String(port)]))
  },
  {
    name: "Java's HttpURLConnection",
    // The launcher of single source files comes with the compiler.
    isThere: has("javac", "-version"),
    upload: (ports) =>
      withFile("Upload.java", java, (path) => printed("java", [path, ...ports.map(String)])).pipe(
        Effect.map((text) => text.split("\n"))
      )
  },
  {
    name: "curl",
    isThere: has("curl", "--version"),
    upload: toEach((port) =>
      withFile("body", new Uint8Array(upload.chunks * upload.bytes), (path) => {
        const options = ["--silent", "--show-error", "--limit-rate", "400k", "--header", "Expect:"]
        const request = ["--data-binary", `@${path}`, `http://127.0.0.1:${port}/upload`]
        return printed("curl", [...options, "--write-out", "\n%{http_code}", ...request])
      }).pipe(Effect.map((text) => text.split("\n").reverse().join(" ")))
    )
  }
]
