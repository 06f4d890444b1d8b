/**
 * A server of `node:http`, read and never used: what it is, and how it differs from one that is made without settings.
 *
 * All own properties are compared with those of a new server of the same class, so that a setting which a later version of
 * Node brings is found as well. This package does not import `node:http`: the class is the server's own.
 *
 * @internal
 */
import { Server } from "node:net"
import { Server as TlsServer } from "node:tls"
import { types } from "node:util"

/** What differs from a server without settings. */
export interface Setting {
  readonly name: string
  readonly value: unknown
}

/** Changes while a server is made or used, and is no setting; listeners are compared one by one. */
const isState = new Set<string | symbol>(["_events", "_eventsCount", "_maxListeners", "_workers", "_connections"])

const stateOfListening = new Set<string | symbol>(["_handle", "_connectionKey", "_listeningId"])

/** The prototype right above the one of `node:net`'s servers: that of the class of a protocol. */
const protocolOf = (server: Server): object | undefined => {
  let prototype: object | null = Object.getPrototypeOf(server)
  while (prototype !== null && Object.getPrototypeOf(prototype) !== Server.prototype) {
    prototype = Object.getPrototypeOf(prototype)
  }
  return prototype ?? undefined
}

const classOf = (value: object): string => value.constructor?.name ?? "no class"

/** What a value is that is no plain server of `node:http`. */
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

/** Of options that Node keeps by symbols: `kUniqueHeaders` is `uniqueHeaders`. */
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

/** The settings of a plain server of `node:http`, or what else it is. */
export const settingsOf = (server: unknown): ReadonlyArray<Setting> | string => {
  const other = otherThanPlain(server)
  if (other !== undefined) return other
  const given = server as Server
  const plain: Server = new (given.constructor as new () => Server)()
  return [...listeningOf(given, plain), ...listenersOf(given, plain), ...propertiesOf(given, plain)]
}

/** Ends what a server may have opened, or is about to open; nothing for any other. */
export const release = (server: unknown): void => {
  // Its callback takes the error of a server that is not listening.
  if (server instanceof Server) server.close(() => {})
}
