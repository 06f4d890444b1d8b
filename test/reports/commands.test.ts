/**
 * "`npm run pressure`, as the README shows it, ends with an error of Vitest's." Every command that a page names is started,
 * in its shortest form: here, or as a step of `.ci/run`.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "../examples/program.js"

const timeout = 300_000

const pages = ["README.md", "test", "src"].flatMap((place) =>
  place.endsWith(".md")
    ? [place]
    : readdirSync(join(root, place), { recursive: true, encoding: "utf8" })
        .filter((path) => path.endsWith("README.md"))
        .map((path) => join(place, path))
)

/** The script that a command runs: `npm start`, `npm run -s playground`, `npm test -- test/fuzz`. */
const scriptIn = (command: string): string | undefined => /^npm (?:run (?:-s )?)?([\w:-]+)/.exec(command)?.[1]

/** Commands as pages show them: in blocks of a shell, and in the text. */
const commandsOf = (page: string): ReadonlyArray<string> => {
  const text = readFileSync(join(root, page), "utf8")
  const blocks = Array.from(text.matchAll(/```sh\n([\s\S]*?)```/g), ([, block = ""]) => block.split("\n")).flat()
  const inline = Array.from(text.matchAll(/`((?:npm|npx|node) [^`]+)`/g), ([, command = ""]) => command)
  return [...blocks.flatMap((line) => line.replace(/ +#.*/, "").split(" && ")), ...inline].filter(
    (command) => command.trim() !== ""
  )
}

const commands = new Set(pages.flatMap(commandsOf))

/** Run by `.ci/run` itself, or that install or rewrite: their other parts are steps there. */
const ofCi = new Set(["ci", "install", "test", "types", "lint", "package", "runtimes", "build", "check", "format"])

/** Started by the tests of the examples, which call what they serve. */
const ofExamples = new Set(["start", "playground"])

interface Short {
  readonly args: ReadonlyArray<string>
  /** What it prints in the end. */
  readonly prints: RegExp
}

/** The long commands, each in its shortest form. */
const long: { readonly [script: string]: Short } = {
  fuzz: { args: ["--seconds", "4"], prints: /^\d+ messages in .* 0 findings$/m },
  pressure: { args: ["--quick", "--only", "quiet"], prints: /^\d+ of \d+ figures are as they have to be/m },
  bench: { args: ["--only", "bare,ours", "--work", "get", "--rounds", "1"], prints: /small GET/ },
  "bench:tls": { args: ["--only", "oursTls", "--rounds", "1", "--seconds", "1"], prints: /a connection/ },
  "bench:machines": { args: ["--rounds", "1"], prints: /a head written/ }
}

const started = (script: string, args: ReadonlyArray<string>) => {
  const child = spawn("npm", ["run", "-s", script, "--", ...args], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: "" },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"]
  })
  const seen = { stdout: "", stderr: "", gaps: [] as Array<number> }
  let last = performance.now()
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    seen.stdout += text
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    seen.stderr += text
    seen.gaps.push(performance.now() - last)
    last = performance.now()
    child.emit("progress")
  })
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...seen }))
  return { child, ended, seen }
}

it("every command that a page names is known here, and started by a test or by .ci/run", () => {
  const scripts = Array.from(commands, scriptIn).filter((script) => script !== undefined)
  const known = new Set([...ofCi, ...ofExamples, ...Object.keys(long)])
  expect(scripts.filter((script) => !known.has(script))).toStrictEqual([])
  const others = Array.from(commands).filter((command) => scriptIn(command) === undefined)
  expect(others.filter((command) => !/^(npx tsx|node --conditions=\S+ --import tsx) /.test(command))).toStrictEqual([])
  expect(Object.keys(long).filter((script) => !scripts.includes(script))).toStrictEqual([])
  const ci = readFileSync(join(root, ".ci/run"), "utf8")
  for (const step of ["npm ci", "npm test", "npm run types", "npm run lint", "npm run package"]) {
    expect(ci).toContain(step)
  }
})

// One after the other: two of them build the package.
describe.skipIf(process.platform !== "linux")("a long command (on Linux)", () => {
  for (const [script, { args, prints }] of Object.entries(long)) {
    it(`npm run ${script} -- ${args.join(" ")}: runs to its end, and prints its progress`, { timeout }, async () => {
      const { code, stderr, stdout } = await started(script, args).ended
      expect([code, stdout]).toStrictEqual([0, expect.stringMatching(prints)])
      expect(stderr).toMatch(new RegExp(`^${script}: .+ \\(at \\d+ s\\)$`, "m"))
    })

    it(`npm run ${script}: ends by a Ctrl-C, and prints so`, { timeout }, async () => {
      const { child, ended, seen } = started(script, [])
      while (!seen.stderr.includes(`${script}: `)) await Promise.race([once(child, "progress"), ended])
      process.kill(-(child.pid ?? 0), "SIGINT")
      const { stderr } = await ended
      expect(stderr).toContain(`${script}: ended by SIGINT`)
    })
  }
})
