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
    const [actual, expected] = [server.rawListeners(event), plain.rawListeners(event)]
    if (actual.length === expected.length && actual.every((listener, i) => listener === expected[i])) return []
    const added = actual.filter((listener) => !expected.includes(listener))
    return [{ name: `listener of ${String(event)}`, value: added[0] ?? "no listener" }]
  })

const propertiesOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [actual, expected] = [server as unknown as Properties, plain as unknown as Properties]
  const keys = new Set([...Reflect.ownKeys(actual), ...Reflect.ownKeys(expected)])
  return Array.from(keys).flatMap((key) => {
    if (isState.has(key) || stateOfListening.has(key) || Object.is(actual[key], expected[key])) return []
    return [{ name: nameOf(key), value: actual[key] }]
  })
}

const listeningOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [actual, expected] = [server as unknown as Properties, plain as unknown as Properties]
  const isUnchanged = Array.from(stateOfListening).every((key) => Object.is(actual[key], expected[key]))
  return server.listening || !isUnchanged ? [{ name: "listening", value: true }] : []
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
