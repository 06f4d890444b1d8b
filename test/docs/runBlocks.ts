/**
 * Imports the modules it is given in turn, and prints what each has logged or thrown as JSON: a process for all of them.
 */
import { pathToFileURL } from "node:url"
import { format } from "node:util"

/** Longer than any of them takes; a block that hangs is named, and does not hide the others. */
const patience = 20_000

const seen: Array<{ readonly lines: ReadonlyArray<string>; readonly error: string | undefined }> = []

for (const file of process.argv.slice(2)) {
  const lines: Array<string> = []
  console.log = (...values: ReadonlyArray<unknown>) => {
    lines.push(...format(...values).split("\n"))
  }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`has not ended in ${patience} ms`), patience)
  })
  const run = import(pathToFileURL(file).href).then(
    () => undefined,
    (error: unknown) => format(error)
  )
  seen.push({ lines, error: await Promise.race([run, late]) })
  clearTimeout(timer)
}

process.stdout.write(JSON.stringify(seen), () => process.exit(0))
