/**
 * What a long command writes to stderr while it runs: a line for each step, one every few seconds while a step lasts, and one
 * when it is ended by a signal.
 */

/** Milliseconds after which a step says that it is still continuing. */
const interval = 3000

export interface Progress {
  /** Begins a step, and ends the one before. */
  readonly step: (title: string) => void
  /** What the step has done so far, for the lines while it lasts. */
  readonly now: (so: string) => void
}

/**
 * Reports the progress of a command, which ends with the code that a shell gives for a signal when it gets one: what has to be
 * put away is, by the listeners of `exit`.
 */
export const progressOf = (command: string): Progress => {
  const began = performance.now()
  let title = "it starts"
  let so = ""
  const write = (text: string): void => {
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    process.stderr.write(`${command}: ${text} (at ${seconds} s)\n`)
  }
  setInterval(() => write(`${title} …${so === "" ? "" : ` ${so}`}`), interval).unref()
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const) {
    // Before any listener that ends the process silently.
    process.prependOnceListener(signal, () => {
      write(`ended by ${signal}`)
      process.exit(code)
    })
  }
  return {
    step: (next) => {
      title = next
      so = ""
      write(next)
    },
    now: (text) => {
      so = text
    }
  }
}
