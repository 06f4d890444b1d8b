/** The text of README.md beside this file: made from the rules, so that neither goes stale. */
import { rules } from "./differences.js"

const cell = (text: string): string => text.replaceAll("|", "\\|")

const quoted = (example: string): string => {
  const shown = JSON.stringify(example)
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replace(/[\x7f-\xff]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`)
  return `\`${cell(shown)}\``
}

export const readme = (): string =>
  [
    "# Fuzzing",
    "",
    "One stream of bytes, four readers: this project's parser, its server over connections in memory, a slow reference",
    "parser written from the grammar of the RFCs (`reference.ts`), and the strict parser inside Node, as `node:http` uses it",
    "with its default strictness (`oracle.ts`). The messages are the fixtures of `test/fixtures/messages`, concatenated and",
    "mutated: methods, targets, versions, names, values, framing fields, chunk sizes, line ends, whitespace, duplicates,",
    "lengths, and single bytes (`generate.ts`).",
    "",
    "- Parser and reference parser must agree exactly: on requests, reason, status, and whether more is needed.",
    "- The server must follow the parser: the same requests in its handler, the same statuses in its responses, no more.",
    "- Parser and `node:http` must accept and reject the same requests, with the same method, target, version, fields, body",
    "  and trailers, except for the rules of `differences.ts`: the table below.",
    "",
    "`npm test` tries a bounded number of messages from a fixed seed (`FUZZ_SEED` sets another).",
    "`npm run fuzz -- --seconds 600` uses a new seed and prints it; `--seed S` repeats that run, `--seed S --at N` tries one",
    "message. A finding is minimised and printed, and the run exits with 1; once understood it becomes a row of `corpus.ts`,",
    "which every test run repeats.",
    "",
    "## Differences to node:http",
    "",
    "Generated from `differences.ts` by `UPDATE_README=1 npm test -- test/fuzz`; each row is tested, and must still show its difference.",
    "",
    "| difference | ours | node:http | why ours is right | example |",
    "|---|---|---|---|---|",
    ...rules.map(
      ({ example, name, node, ours, reason, until }) =>
        `| ${cell(name)} | ${cell(ours)} | ${cell(node)}${until === undefined ? "" : `, before llhttp ${until}`} | ${cell(reason)} | ${quoted(example)} |`
    ),
    ""
  ].join("\n")
