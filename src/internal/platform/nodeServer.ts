/**
 * Inspection of a server of `node:http`, which is never used: its kind, and its differences from a server without settings.
 *
 * All own properties are compared with those of a new server of the same class, so that settings of later versions of Node
 * are found as well. This package does not import `node:http`: the class is that of the given server.
 *
 * @internal
 */
import { Server } from "node:net"
import { Server as TlsServer } from "node:tls"
import { types } from "node:util"

/** A difference from a server without settings. */
export interface Setting {
  readonly name: string
  readonly value: unknown
}

/** Properties that are state, not settings; listeners are compared one by one. */
const isState = new Set<string | symbol>(["_events", "_eventsCount", "_maxListeners", "_workers", "_connections"])

const stateOfListening = new Set<string | symbol>(["_handle", "_connectionKey", "_listeningId"])

/** The prototype that extends that of `node:net` servers: that of the class of a protocol. */
const protocolOf = (server: Server): object | undefined => {
  let prototype: object | null = Object.getPrototypeOf(server)
  while (prototype !== null && Object.getPrototypeOf(prototype) !== Server.prototype) {
    prototype = Object.getPrototypeOf(prototype)
  }
  return prototype ?? undefined
}

const classOf = (value: object): string => value.constructor?.name ?? "no class"

/** Description of a value that is no plain server of `node:http`. */
const otherThanPlain = (server: unknown): string | undefined => {
  if (types.isProxy(server)) return "a proxy of a server"
  if (!(server instanceof Server)) {
    return typeof server === "object" && server !== null ? `an object of ${classOf(server)}` : `a ${typeof server}`
  }
  if (server instanceof TlsServer) return "a server with TLS"
  const protocol = protocolOf(server)
  if (protocol !== undefined && Object.hasOwn(protocol, "updateSettings")) return "a server of HTTP/2"
  if (protocol === undefined || !Object.hasOwn(protocol, "closeIdleConnections")) return "a server of node:net"
  return Object.getPrototypeOf(server) === protocol ? undefined : `a server of the class ${classOf(server)}`
}

type Properties = Readonly<Record<string | symbol, unknown>>

/** The name of an option; Node stores some by symbols: `kUniqueHeaders` is `uniqueHeaders`. */
const nameOf = (key: string | symbol): string => {
  if (typeof key === "string") return key
  return (key.description ?? "a symbol").replace(/^k([A-Z])/, (_, first: string) => first.toLowerCase())
}

const listenersOf = (server: Server, plain: Server): ReadonlyArray<Setting> =>
  Array.from(new Set([...server.eventNames(), ...plain.eventNames()])).flatMap((event) => {
    const [given, own] = [server.rawListeners(event), plain.rawListeners(event)]
    if (given.length === own.length && given.every((listener, i) => listener === own[i])) return []
    const added = given.filter((listener) => !own.includes(listener))
    return [{ name: `listener of ${String(event)}`, value: added[0] ?? "no listener" }]
  })

const propertiesOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [given, own] = [server as unknown as Properties, plain as unknown as Properties]
  const keys = new Set([...Reflect.ownKeys(given), ...Reflect.ownKeys(own)])
  return Array.from(keys).flatMap((key) => {
    if (isState.has(key) || stateOfListening.has(key) || Object.is(given[key], own[key])) return []
    return [{ name: nameOf(key), value: given[key] }]
  })
}

const listeningOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [given, own] = [server as unknown as Properties, plain as unknown as Properties]
  const isOwn = Array.from(stateOfListening).every((key) => Object.is(given[key], own[key]))
  return server.listening || !isOwn ? [{ name: "listening", value: true }] : []
}

/** The settings of a plain server of `node:http`, or a description of any other value. */
export const settingsOf = (server: unknown): ReadonlyArray<Setting> | string => {
  const other = otherThanPlain(server)
  if (other !== undefined) return other
  const given = server as Server
  const plain: Server = new (given.constructor as new () => Server)()
  return [...listeningOf(given, plain), ...listenersOf(given, plain), ...propertiesOf(given, plain)]
}

/** Closes a server that may be listening, or about to listen; no-op for other values. */
export const release = (server: unknown): void => {
  // The callback receives the error of a server that is not listening.
  if (server instanceof Server) server.close(() => {})
}
