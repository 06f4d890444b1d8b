/**
 * The settings of a `node:http` server that is only inspected: how it differs from one that is made without settings.
 *
 * All own properties are compared with those of a new server of the same class, so that a setting of a later version of Node
 * is found as well. This package does not import `node:http`: it takes the class from the server.
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

/** Properties that are state and no setting; listeners are compared one by one. */
const isState = new Set<string | symbol>(["_events", "_eventsCount", "_maxListeners", "_workers", "_connections"])

const listeningState = new Set<string | symbol>(["_handle", "_connectionKey", "_listeningId"])

/** The prototype of the class that extends `net.Server` directly: that of a protocol. */
const protocolPrototypeOf = (server: Server): object | undefined => {
  let prototype: object | null = Object.getPrototypeOf(server)
  while (prototype !== null && Object.getPrototypeOf(prototype) !== Server.prototype) {
    prototype = Object.getPrototypeOf(prototype)
  }
  return prototype ?? undefined
}

const classOf = (value: object): string => value.constructor?.name ?? "no class"

/** Describes a value that is not a plain `node:http` server; `undefined` for one that is. */
const describeOther = (server: unknown): string | undefined => {
  if (types.isProxy(server)) return "a proxy of a server"
  if (!(server instanceof Server)) {
    return typeof server === "object" && server !== null ? `an object of ${classOf(server)}` : `a ${typeof server}`
  }
  if (server instanceof TlsServer) return "a server with TLS"
  const protocol = protocolPrototypeOf(server)
  if (protocol !== undefined && Object.hasOwn(protocol, "updateSettings")) return "a server of HTTP/2"
  if (protocol === undefined || !Object.hasOwn(protocol, "closeIdleConnections")) return "a server of node:net"
  return Object.getPrototypeOf(server) === protocol ? undefined : `a server of the class ${classOf(server)}`
}

type Properties = Readonly<Record<string | symbol, unknown>>

/** The name of a setting. Node keeps some by symbols: `kUniqueHeaders` is `uniqueHeaders`. */
const nameOf = (key: string | symbol): string => {
  if (typeof key === "string") return key
  return (key.description ?? "a symbol").replace(/^k([A-Z])/, (_, first: string) => first.toLowerCase())
}

const listenersOf = (server: Server, plain: Server): ReadonlyArray<Setting> =>
  Array.from(new Set([...server.eventNames(), ...plain.eventNames()])).flatMap((event) => {
    const [actual, defaults] = [server.rawListeners(event), plain.rawListeners(event)]
    if (actual.length === defaults.length && actual.every((listener, i) => listener === defaults[i])) return []
    const added = actual.filter((listener) => !defaults.includes(listener))
    return [{ name: `listener of ${String(event)}`, value: added[0] ?? "no listener" }]
  })

/** Most of the properties are not in the public type. */
const allProperties = (server: Server): Properties => server as unknown as Properties

/** The same value, or a function of the same source: Node makes `shouldUpgradeCallback` for each server. */
const isSame = (actual: unknown, plain: unknown): boolean =>
  Object.is(actual, plain) ||
  (typeof actual === "function" && typeof plain === "function" && String(actual) === String(plain))

const propertiesOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [actual, defaults] = [allProperties(server), allProperties(plain)]
  const keys = new Set([...Reflect.ownKeys(actual), ...Reflect.ownKeys(defaults)])
  return Array.from(keys).flatMap((key) => {
    if (isState.has(key) || listeningState.has(key) || isSame(actual[key], defaults[key])) return []
    return [{ name: nameOf(key), value: actual[key] }]
  })
}

const listeningOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [actual, defaults] = [allProperties(server), allProperties(plain)]
  const isUnused = Array.from(listeningState).every((key) => Object.is(actual[key], defaults[key]))
  return server.listening || !isUnused ? [{ name: "listening", value: true }] : []
}

/** The settings of a plain `node:http` server, or a description of any other value. */
export const settingsOf = (server: unknown): ReadonlyArray<Setting> | string => {
  const other = describeOther(server)
  if (other !== undefined) return other
  const given = server as Server
  const plain: Server = new (given.constructor as new () => Server)()
  return [...listeningOf(given, plain), ...listenersOf(given, plain), ...propertiesOf(given, plain)]
}

/** Closes a server that may listen, or is about to; ignores any other value. */
export const release = (server: unknown): void => {
  // The callback receives the error of a server that does not listen, which would otherwise be emitted.
  if (server instanceof Server) server.close(() => {})
}
