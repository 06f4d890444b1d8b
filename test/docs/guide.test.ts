/**
 * The guide of the test kit, generated from the tests in test/testing/guide; `vitest -u` updates
 * it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { root } from "./blocks.js"

const folder = "test/testing/guide"

const page = "src/testing/README.md"

interface Chapter {
  readonly title: string
  readonly says: string
  readonly code: string
}

/** A test's first comment is a title and what it shows; after it stands what is shown. */
const chapterOf = (file: string): Chapter => {
  const text = readFileSync(`${root}${folder}/${file}`, "utf8")
  const [, comment = "", code = ""] = /^\/\*\*\n([\s\S]*?)\n \*\/\n([\s\S]*)$/.exec(text) ?? []
  const [title = "", , ...says] = comment.split("\n").map((line) => line.replace(/^ \* ?/, ""))
  return { title, says: says.join("\n"), code }
}

const chapters = readdirSync(`${root}${folder}`)
  .filter((file) => file.endsWith(".test.ts"))
  .sort()
  .map(chapterOf)

const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(" ", "-")
    .replace(/[^\w-]/g, "")

const shown = (): string =>
  [
    "# Ten tests",
    "Each is a whole file, and runs as it stands here with `vitest` and `@effect/vitest`. What the modules have is in their documentation.",
    chapters.map(({ title }) => `- [${title}](#${anchorOf(title)})`).join("\n"),
    ...chapters.flatMap(({ code, says, title }) => [`## ${title}`, says, `\`\`\`ts\n${code}\`\`\``])
  ].join("\n\n")

describe("the guide of the test kit", () => {
  it("has ten tests, each with a title and a sentence", () => {
    expect(chapters).toHaveLength(10)
    for (const { code, says, title } of chapters) {
      expect([title, says, code]).not.toContain("")
    }
  })

  it("shows them as they are", async () => {
    expect(existsSync(`${root}${page}`)).toBe(true)
    await expect(`${shown()}\n`).toMatchFileSnapshot(`${root}${page}`)
  })

  it("README.md begins its chapter about tests with one that is run", () => {
    const first = readFileSync(`${root}test/testing/quickStart.test.ts`, "utf8").replace(/^\/\*\*[\s\S]*?\*\/\n/, "")
    const [, testing = ""] = readFileSync(`${root}README.md`, "utf8").split("\n## Testing\n")
    expect(/```ts\n([\s\S]*?)```/.exec(testing)?.[1]).toBe(first)
  })
})
