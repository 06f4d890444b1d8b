/**
 * A peer: a server that the others are compared with. Each is a file of peers/, which exports one as `peer`; it serves
 * these routes, or lists which it lacks.
 *
 * | route | response |
 * |---|---|
 * | `GET /` | the text "ok", and closes after it when it is asked to |
 * | `GET /json` | the catalogue, made text for each request |
 * | `GET /sleep` | "ok" after a millisecond |
 * | `POST /bytes` | how many bytes the body has, which is read whole |
 * | `POST /upload` | the same, of a body that is read piece by piece |
 * | `GET /download` | 100 MiB in pieces of 64 KiB, as fast as they are read |
 * | `GET /effect` | "ok", by a service, with a span and a log line |
 * | `GET /route` | "ok", by an `HttpRouter` with one route |
 * | `GET /things25/42` | "ok", by an `HttpRouter` with fifty |
 * | `GET /products/1000` | a small object as JSON, by an endpoint of an `HttpApi` |
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { modulesOf } from "./folder.js"

/** What a workload asks of a peer, beyond the response to `GET /`. */
export type Need = "json" | "sleep" | "bodies" | "chunked" | "upload" | "download" | "effect" | "platform"

interface About {
  /** How a table calls it. */
  readonly title: string
  /** In a chart, on a light page and on a dark one. */
  readonly colour: string
  /** Of itself, and of what it stands on. */
  readonly versions: ReadonlyArray<string>
  /** What it does not do while it gives the same responses, to be read beside its figures. */
  readonly omits?: string
  /** What it cannot do, each with the reason. */
  readonly lacks: { readonly [need in Need]?: string }
}

/** A peer that is written for Node, and served by serving.ts. */
export interface NodePeer extends About {
  readonly _tag: "Node"
  /** Listens on a loopback port of the system's choice, and gives the port. */
  readonly serve: () => Promise<number>
}

/** A peer that is a program of its own, which prints the port it listens on as its first line. */
export interface ProgramPeer extends About {
  readonly _tag: "Program"
  /** Builds it into a folder: the command that runs it, or why it cannot be built here. */
  readonly build: (folder: string) => Promise<ReadonlyArray<string> | { readonly missing: string }>
}

export type Peer = NodePeer | ProgramPeer

/** The peer that does as little as a server can: what all are compared with. */
export const ceiling = "bare"

export const ours = "ours"

export const noEffect = "it runs no Effect"

export const noPlatform = "it runs no application of @effect/platform"

/** By name, the ceiling first. */
export const readPeers = async (): Promise<ReadonlyMap<string, Peer>> => {
  const found = await modulesOf<Peer>("peers", "peer")
  return new Map([...found].sort(([one], [other]) => Number(other === ceiling) - Number(one === ceiling)))
}

const root = fileURLToPath(new URL("../../", import.meta.url))

/** The version of a package that is installed here, of this one by its own name. */
export const versionOf = (name: string): string => {
  const folder = name === "effect-asynchttpserver" ? root : `${root}node_modules/${name}/`
  const { version }: { readonly version: string } = JSON.parse(readFileSync(`${folder}package.json`, "utf8"))
  return `${name} ${version}`
}
