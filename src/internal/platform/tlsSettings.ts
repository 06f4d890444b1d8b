/**
 * Conversion of the TLS settings of a `node:https` server to `Tls.Options`.
 *
 * @internal
 */

import type { Credentials, Options, Pem, Policy } from "../../Tls.js"
import type { Setting } from "../net/nodeServer.js"

const isPem = (value: unknown): value is Pem => typeof value === "string" || Buffer.isBuffer(value)

const isPemList = (value: unknown): value is Pem | ReadonlyArray<Pem> =>
  isPem(value) || (Array.isArray(value) && value.every(isPem))

/** By name: whether a value is supported, that is, has a counterpart that is at least as strict. */
const supported: Readonly<Record<string, (value: unknown) => boolean>> = {
  key: isPem,
  cert: isPem,
  ca: isPemList,
  passphrase: (value) => typeof value === "string",
  requestCert: (value) => typeof value === "boolean",
  rejectUnauthorized: (value) => typeof value === "boolean",
  minVersion: (value) => value === "TLSv1.2" || value === "TLSv1.3",
  ciphers: (value) => typeof value === "string",
  ticketKeys: Buffer.isBuffer,
  "handshake-timeout": (value) => typeof value === "number" && value > 0,
  // The list that `node:https` has by default, in the format of the protocol.
  ALPNProtocols: (value) => Buffer.isBuffer(value) && value.equals(Buffer.from("\x08http/1.1"))
}

/** Whether a setting is one of TLS with a counterpart. */
export const isTlsSetting = ({ name, value }: Setting): boolean => supported[name]?.(value) === true

/** The options of TLS, or the name of a setting that is missing. */
export const tlsOptionsOf = (settings: ReadonlyArray<Setting>): Options | string => {
  const values: { readonly [name: string]: unknown } = Object.fromEntries(
    settings.filter(isTlsSetting).map(({ name, value }) => [name, value])
  )
  const { ca, cert, ciphers, key, minVersion, passphrase, ticketKeys } = values
  if (key === undefined || cert === undefined) return key === undefined ? "key" : "cert"
  // Each value has been checked by `supported`.
  const credentials = { key, cert, ca, passphrase } as Credentials
  const clientCertificates =
    values.requestCert !== true ? "ignore" : values.rejectUnauthorized === false ? "request" : "require"
  const policy = { ciphers, minVersion, ticketKeys, handshakeTimeout: values["handshake-timeout"] } as Policy
  return { ...credentials, ...policy, clientCertificates }
}
