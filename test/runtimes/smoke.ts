/**
 * The smoke suite, run on one runtime against the package as it is published.
 */
import { spawn } from "node:child_process"
import { cpSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeAuthority } from "../listening/certificates.js"
import { type Folder, installed, manifest } from "../reports/packed.js"
import type { Runtime } from "./binaries.js"

/** Milliseconds for the suite on one runtime. */
const suiteTimeout = 60_000

export interface Result {
  readonly group: string
  readonly outcome: "ok" | "unsupported" | "failed"
  readonly reason?: string
}

const certificates = async (): Promise<unknown> => {
  const authority = await makeAuthority()
  const other = await makeAuthority("Another Authority")
  return {
    authority: authority.cert,
    localhost: await authority.issue(),
    renewed: await authority.issue({ commonName: "renewed" }),
    named: await authority.issue({ names: ["a.example"] }),
    rsa: await authority.issue({ names: ["rsa.example"], type: "RSA" }),
    client: await authority.issue({ commonName: "client" }),
    untrusted: await other.issue({ commonName: "untrusted" })
  }
}

/** A folder with the package, its peers and the suite. */
export const prepare = async (): Promise<Folder> => {
  const folder = installed(Object.keys(manifest.peerDependencies))
  cpSync(fileURLToPath(new URL("smoke", import.meta.url)), join(folder.path, "smoke"), { recursive: true })
  writeFileSync(join(folder.path, "certificates.json"), JSON.stringify(await certificates()))
  return folder
}

const resultsIn = (output: string): ReadonlyArray<Result> | undefined => {
  const [, json] = /^results (.*)$/m.exec(output) ?? []
  return json === undefined ? undefined : JSON.parse(json)
}

export interface SuiteRun {
  /** What the suite has printed. */
  readonly output: string
  readonly results: ReadonlyArray<Result>
}

/** Runs the suite. One that does not complete has failed. */
export const smoke = (runtime: Runtime, binary: string, folder: string): Promise<SuiteRun> =>
  new Promise((resolve) => {
    const child = spawn(binary, [...runtime.args, join(folder, "smoke", "main.js")], {
      cwd: folder,
      env: {
        ...process.env,
        SMOKE_FOLDER: folder,
        SMOKE_CERTIFICATES: join(folder, "certificates.json"),
        SMOKE_NODE: process.execPath
      },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    const collect = (bytes: Buffer): void => {
      output += bytes.toString()
    }
    child.stdout.on("data", collect)
    child.stderr.on("data", collect)
    const timer = setTimeout(() => child.kill("SIGKILL"), suiteTimeout)
    child.once("close", (code, signal) => {
      clearTimeout(timer)
      const failed: Result = { group: "core", outcome: "failed", reason: `ended by ${signal ?? `code ${code}`}` }
      resolve({ output: output.replace(/^results .*\n/m, ""), results: resultsIn(output) ?? [failed] })
    })
  })
