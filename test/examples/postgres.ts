/** Postgres in a temporary folder, on a Unix domain socket in it, without durability; it ends with the test. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Debian keeps the commands of each version in a folder of its own, which is on no path. */
const debian = "/usr/lib/postgresql"

const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []

process.env.PATH = [process.env.PATH, ...versions.map((version) => `${debian}/${version}/bin`)].join(":")

const numberOf = (flag: string): number => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout)

/** Postgres refuses to run as root. */
const user = process.getuid?.() === 0 ? { uid: numberOf("-u"), gid: numberOf("-g") } : {}

export const hasPostgres = spawnSync("initdb", ["--version"], { stdio: "ignore" }).status === 0

/** Runs `use` with the URL of an empty database. */
export const withPostgres = async (use: (url: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "postgres-"))
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, "data")
  const options = ["-D", data, "-U", "app", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
  const initialized = spawnSync("initdb", options, { ...user, cwd: folder, encoding: "utf8" })
  if (initialized.status !== 0) throw new Error(initialized.stderr)
  const settings = ["listen_addresses=", "fsync=off", "synchronous_commit=off", "max_connections=100"]
  const child = spawn("postgres", ["-D", data, "-k", folder, ...settings.flatMap((setting) => ["-c", setting])], {
    ...user,
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"]
  })
  const orphan = (): boolean => child.kill("SIGQUIT")
  process.once("exit", orphan)
  try {
    let log = ""
    await new Promise<void>((resolve, reject) => {
      child.once("exit", () => reject(new Error(log)))
      child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
        log += chunk
        if (log.includes("ready to accept connections")) resolve()
      })
    })
    await use(`postgres://app@localhost/postgres?host=${encodeURIComponent(folder)}`)
  } finally {
    process.off("exit", orphan)
    if (child.exitCode === null && child.signalCode === null) {
      // Ends the sessions of clients, too.
      child.kill("SIGINT")
      await once(child, "exit")
    }
    rmSync(folder, { recursive: true, force: true })
  }
}
