/** The descriptor limit and the open descriptors of this process, as the system reports them. */
import { readdirSync, readFileSync } from "node:fs"

const attempt = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** The soft limit on open files (RLIMIT_NOFILE) from /proc; `undefined` if unlimited. */
const fromProc = (): number | undefined => {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))
  return line === null ? undefined : Number(line[1])
}

interface Report {
  readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } }
}

const fromReport = (): number | undefined => {
  // The report is documented, but typed as a plain object.
  const soft = (process.report.getReport() as Report).userLimits?.open_files?.soft
  return typeof soft === "number" ? soft : undefined
}

/** The soft limit on open files, from /proc or from Node's report; `undefined` if it is unlimited or unknown. */
export const systemLimit = (): number | undefined => attempt(fromProc) ?? attempt(fromReport)

/** The number of open descriptors of this process; 0 if unknown. Reading the directory opens one itself. */
export const openDescriptors = (): number => {
  const entries = attempt(() => readdirSync("/proc/self/fd")) ?? attempt(() => readdirSync("/dev/fd"))
  return entries === undefined ? 0 : entries.length - 1
}
