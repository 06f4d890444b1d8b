/**
 * The settings of a server of `node:http` or `node:https` that is only inspected: how it differs from one that is made without settings.
 *
 * All own properties are compared with those of a new server of the same class, so that a setting of a later version of Node
 * is found as well. This package does not import `node:http`: it takes the class from the server.
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
const isState = new Set<string | symbol>([
  "_events",
  "_eventsCount",
  "_maxListeners",
  "_workers",
  "_connections",
  // Compiled from the other settings of TLS.
  "_sharedCreds"
])

const listeningState = new Set<string | symbol>(["_handle", "_connectionKey", "_listeningId"])

/** The prototype of the class that extends `net.Server` or `tls.Server` directly: that of a protocol. */
const protocolPrototypeOf = (server: Server): object | undefined => {
  const transport = server instanceof TlsServer ? TlsServer.prototype : Server.prototype
  let prototype: object | null = Object.getPrototypeOf(server)
  while (prototype !== null && Object.getPrototypeOf(prototype) !== transport) {
    prototype = Object.getPrototypeOf(prototype)
  }
  return prototype ?? undefined
}

const classOf = (value: object): string => value.constructor?.name ?? "no class"

/** Describes a value that is no plain server of `node:http` or `node:https`; `undefined` for one that is. */
const describeOther = (server: unknown): string | undefined => {
  if (types.isProxy(server)) return "a proxy of a server"
  if (!(server instanceof Server)) {
    return typeof server === "object" && server !== null ? `an object of ${classOf(server)}` : `a ${typeof server}`
  }
  const protocol = protocolPrototypeOf(server)
  if (protocol !== undefined && Object.hasOwn(protocol, "updateSettings")) return "a server of HTTP/2"
  if (protocol === undefined || !Object.hasOwn(protocol, "closeIdleConnections"))
    return server instanceof TlsServer ? "a server of node:tls" : "a server of node:net"
  return Object.getPrototypeOf(server) === protocol ? undefined : `a server of the class ${classOf(server)}`
}

type Properties = Readonly<Record<string | symbol, unknown>>

/** The name of a setting. Node keeps some by symbols: `kUniqueHeaders` is `uniqueHeaders`. */
const nameOf = (key: string | symbol): string => {
  if (typeof key === "string") return key
  return (key.description ?? "a symbol").replace(/^k([A-Z])/, (_, first: string) => first.toLowerCase())
}

/** Whether a listener is a default one; `node:https` makes one of its own for each server, from the same source. */
const isDefault = (listener: unknown, other: unknown): boolean =>
  listener === other || (typeof listener === "function" && String(listener) === String(other))

const listenersOf = (server: Server, plain: Server): ReadonlyArray<Setting> =>
  Array.from(new Set([...server.eventNames(), ...plain.eventNames()])).flatMap((event) => {
    const [actual, defaults] = [server.rawListeners(event), plain.rawListeners(event)]
    if (actual.length === defaults.length && actual.every((listener, i) => isDefault(listener, defaults[i]))) return []
    const added = actual.filter((listener) => !defaults.includes(listener))
    return [{ name: `listener of ${String(event)}`, value: added[0] ?? "no listener" }]
  })

/** Most of the properties are not in the public type. */
const allProperties = (server: Server): Properties => server as unknown as Properties

/**
 * Values of settings that a constructor makes anew: the protocols of ALPN, the contexts that were added, and functions of the
 * same source, as `shouldUpgradeCallback`.
 */
const isEqual = (one: unknown, other: unknown): boolean =>
  Object.is(one, other) ||
  (typeof one === "function" && typeof other === "function" && String(one) === String(other)) ||
  (Buffer.isBuffer(one) && Buffer.isBuffer(other) && one.equals(other)) ||
  (Array.isArray(one) && Array.isArray(other) && one.length === 0 && other.length === 0)

const propertiesOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [actual, defaults] = [allProperties(server), allProperties(plain)]
  const keys = new Set([...Reflect.ownKeys(actual), ...Reflect.ownKeys(defaults)])
  return Array.from(keys).flatMap((key) => {
    if (isState.has(key) || listeningState.has(key) || isEqual(actual[key], defaults[key])) return []
    return [{ name: nameOf(key), value: actual[key] }]
  })
}

const listeningOf = (server: Server, plain: Server): ReadonlyArray<Setting> => {
  const [actual, defaults] = [allProperties(server), allProperties(plain)]
  const isUnused = Array.from(listeningState).every((key) => Object.is(actual[key], defaults[key]))
  return server.listening || !isUnused ? [{ name: "listening", value: true }] : []
}

/** Whether a server has TLS. */
export const isTls = (server: unknown): boolean => server instanceof TlsServer

/** The settings of a plain server of `node:http` or `node:https`, or a description of any other value. */
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
