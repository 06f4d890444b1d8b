/** The examples with routes: each is started as a user would, called, and stopped. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { clients, json, jsonOf, post, textOf, timeout } from "./applicationClient.js"
import { byFetch } from "./client.js"
import { root, withProgram } from "./program.js"

describe.concurrent("examples/router.ts", () => {
  it(
    "routes and decodes, and responds to failures",
    () =>
      withProgram("examples/router.ts", {}, async (url) => {
        const made = await byFetch(post(`${url}/people`, { name: "Ada", born: 1815 }))
        expect([made.status, made.headers.get("location"), jsonOf(made)]).toStrictEqual([201, "/people/1", { id: 1 }])
        for (const client of clients) {
          const found = await client({ method: "GET", url: `${url}/people/1?a=b` })
          expect([found.status, jsonOf(found)]).toStrictEqual([200, { name: "Ada", born: 1815 }])
          expect(found.headers.get("server-timing")).toMatch(/^app;dur=\d+\.\d$/)
          const unknown = await client({ method: "GET", url: `${url}/people/7` })
          expect([unknown.status, jsonOf(unknown)]).toStrictEqual([404, { message: "person 7 not found" }])
          const word = await client({ method: "GET", url: `${url}/people/ada` })
          expect([word.status, textOf(word)]).toStrictEqual([400, expect.stringContaining("ada")])
          const wrong = await client(post(`${url}/people`, { name: "", born: 1815 }))
          expect([wrong.status, textOf(wrong)]).toStrictEqual([400, expect.stringContaining("name")])
          const broken = await client({ method: "POST", url: `${url}/people`, headers: json, body: "{" })
          expect(broken.status).toBe(400)
          const missing = await client({ method: "DELETE", url: `${url}/other` })
          expect([missing.status, jsonOf(missing)]).toStrictEqual([404, { message: "no route for DELETE /other" }])
          expect(missing.headers.has("server-timing")).toBe(true)
        }
      }),
    timeout
  )
})

describe.concurrent("examples/httpApi.ts", () => {
  it(
    "checks by its schemas, and describes itself",
    () =>
      withProgram("examples/httpApi.ts", {}, async (url) => {
        const written = await byFetch(post(`${url}/notes`, { text: "the second" }))
        expect([written.status, jsonOf(written)]).toStrictEqual([201, { id: 2, text: "the second" }])
        for (const client of clients) {
          const found = await client({ method: "GET", url: `${url}/notes/2` })
          expect([found.status, jsonOf(found)]).toStrictEqual([200, { id: 2, text: "the second" }])
          const some = await client({ method: "GET", url: `${url}/notes?containing=first` })
          expect(jsonOf(some)).toStrictEqual([{ id: 1, text: "the first note" }])
          const missing = await client({ method: "GET", url: `${url}/notes/9` })
          expect([missing.status, jsonOf(missing)]).toStrictEqual([404, { _tag: "NoteNotFound", id: 9 }])
          const wrong = await client(post(`${url}/notes`, { text: "" }))
          expect([wrong.status, jsonOf(wrong)]).toMatchObject([
            400,
            { _tag: "HttpApiDecodeError", issues: [{ path: ["text"] }] }
          ])
          const other = await client({ method: "GET", url: `${url}/other` })
          expect(other.status).toBe(404)
        }
        const described = await byFetch({ method: "GET", url: `${url}/openapi.json` })
        expect(jsonOf(described)).toMatchObject({
          openapi: "3.1.0",
          info: { title: "Notebook" },
          paths: {
            "/notes": { get: {}, post: {} },
            "/notes/{id}": { get: { responses: { 200: {}, 400: {}, 404: {} } } }
          }
        })
        const page = await byFetch({ method: "GET", url: `${url}/docs` })
        expect(page.headers.get("content-type")).toMatch(/^text\/html/)
        expect(Number(page.headers.get("content-length"))).toBe(page.body.length)
        expect(textOf(page)).toContain("SwaggerUIBundle")
      }),
    timeout
  )
})

describe.concurrent("examples/moved.ts", () => {
  const source = readFileSync(`${root}examples/moved.ts`, "utf8")
  const [, before = "", after = ""] = /^ \* -(.*)\n \* \+(.*)$/m.exec(source) ?? []

  const check = async (url: string): Promise<void> => {
    for (const client of clients) {
      const headers = { origin: "https://example.com" }
      const hello = await client({ method: "GET", url, headers })
      expect([hello.status, textOf(hello)]).toStrictEqual([200, "Hello World"])
      expect(hello.headers.get("access-control-allow-origin")).toBe("https://example.com")
      const echo = await client({ method: "PUT", url: `${url}/echo?a=b`, body: "é" })
      expect([echo.status, jsonOf(echo)]).toStrictEqual([200, { method: "PUT", url: "/echo?a=b", body: "é" }])
      expect((await client({ method: "GET", url: `${url}/other`, headers })).status).toBe(404)
    }
  }

  it("has the line that its comment shows", () => {
    expect(source.split("\n")).toContain(after)
    expect(before).toContain("@effect/platform-node")
  })

  it("responds", () => withProgram("examples/moved.ts", {}, check), timeout)

  it(
    "responds the same with its original line",
    async () => {
      mkdirSync(`${root}.tmp`, { recursive: true })
      // Within the package, so that it finds the same modules.
      const folder = mkdtempSync(`${root}.tmp/moved-`)
      try {
        writeFileSync(`${folder}/original.ts`, source.replace(`\n${after}\n`, `\n${before}\n`))
        await withProgram(`${folder}/original.ts`, {}, check)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    timeout
  )
})
