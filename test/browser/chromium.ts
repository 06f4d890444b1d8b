/**
 * Debian's Chromium, without a window; absent where it is not installed.
 */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { type Browser, chromium, type Page } from "playwright-core"

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const executablePath = (process.env.PATH ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "chromium"))
  .find(isExecutable)

export const hasChromium = executablePath !== undefined

if (!hasChromium) console.warn("chromium is not on the PATH: the tests that drive a browser are skipped")

export const launch = (options: ReadonlyArray<string> = []): Promise<Browser> => {
  if (executablePath === undefined) throw new Error("chromium is not on the PATH")
  // As root, as in most containers, it has no sandbox to offer, and often little shared memory.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", ...options] })
}

/** A page of its own, whose errors fail the test that uses it. */
export const withPage = async (browser: Browser, use: (page: Page) => Promise<void>): Promise<void> => {
  const context = await browser.newContext()
  try {
    context.setDefaultTimeout(60_000)
    const page = await context.newPage()
    const errors: Array<string> = []
    page.on("pageerror", (error) => errors.push(String(error)))
    await use(page)
    if (errors.length > 0) throw new Error(`the page has failed: ${errors.join("; ")}`)
  } finally {
    await context.close()
  }
}
