/**
 * What the system says about this process's descriptors.
 *
 * @internal
 */
import { readdirSync, readFileSync } from "node:fs"

const attempt = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** The soft limit on open files, from /proc where there is one, else from the runtime's report; none when unlimited. */
const fromProc = (): number | undefined => {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))
  return line === null ? undefined : Number(line[1])
}

interface Report {
  readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } }
}

const fromReport = (): number | undefined => {
  // The report is documented and typed as a plain object; only this part of it is looked at.
  const soft = (process.report.getReport() as Report).userLimits?.open_files?.soft
  return typeof soft === "number" ? soft : undefined
}

/** How many descriptors this process may have open, if the system says so. */
export const systemLimit = (): number | undefined => attempt(fromProc) ?? attempt(fromReport)

/** How many descriptors this process has open; 0 where the system does not say. Reading the folder opens one itself. */
export const openDescriptors = (): number => {
  const entries = attempt(() => readdirSync("/proc/self/fd")) ?? attempt(() => readdirSync("/dev/fd"))
  return entries === undefined ? 0 : entries.length - 1
}
