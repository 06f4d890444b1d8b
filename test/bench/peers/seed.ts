import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { catalogue } from "../content.js"
import { noEffect, noPlatform, type Peer } from "../peer.js"
import { outputOf } from "../proc.js"

const nim = /Version (\S+)/.exec((await outputOf(["nim", "--version"])) ?? "")?.[1]

const source = fileURLToPath(new URL("./seed.nim", import.meta.url))

export const peer: Peer = {
  _tag: "Program",
  title: "Nim's original",
  colour: "#2f9e77",
  versions: nim === undefined ? [] : [`std/asynchttpserver of Nim ${nim} -d:release`],
  omits: "sends no Date, has no deadlines, bounds no chunked body",
  lacks: {
    upload: "it reads a body whole before its callback runs",
    effect: noEffect,
    platform: noPlatform
  },
  build: async (folder) => {
    if (nim === undefined) return { missing: "nim is not installed" }
    const program = join(folder, "seed")
    const content = join(folder, "catalogue.json")
    writeFileSync(content, JSON.stringify(catalogue))
    const flags = ["-d:release", "--hints:off", "--warnings:off", `--nimcache:${folder}/nim`, `--out:${program}`]
    const built = await outputOf(["nim", "c", ...flags, source])
    return built === undefined ? { missing: "nim could not compile it" } : [program, content]
  }
}
