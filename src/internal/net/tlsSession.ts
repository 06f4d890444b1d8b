/**
 * What is known of an encrypted connection, read from its `TLSSocket`.
 *
 * @internal
 */
import type { X509Certificate } from "node:crypto"
import type { TLSSocket } from "node:tls"
import * as Option from "effect/Option"
import type { ClientCertificate, Session } from "../../Tls.js"

/** The member of the handle that `tls.Server` asks; on a socket of one's own `authorized` is never set. */
interface Verifying {
  readonly _handle?: { readonly verifyError?: () => (Error & { readonly code?: string }) | null | undefined } | null
}

/** Whether this runtime can verify client certificates. */
const canVerify = (socket: TLSSocket): boolean => typeof (socket as Verifying)._handle?.verifyError === "function"

/** Why the client's certificate is not trusted, or missing; `ENOTSUP` where this runtime cannot verify it. */
export const verifyError = (socket: TLSSocket): string | undefined => {
  if (!canVerify(socket)) return "ENOTSUP"
  const error = (socket as Verifying)._handle?.verifyError?.()
  return error ? (error.code ?? error.message) : undefined
}

/** The text `subject` is for people: it escapes characters, and joins the names of one level. */
const commonNameOf = (certificate: X509Certificate): Option.Option<string> => {
  const { CN: name } = certificate.toLegacyObject().subject
  // A list where there are several, which the types omit.
  return Option.fromNullable<string | undefined>([name].flat()[0])
}

const certificateOf = (socket: TLSSocket): Option.Option<ClientCertificate> =>
  Option.map(Option.fromNullable(socket.getPeerX509Certificate()), (x509) => {
    const error = Option.fromNullable(verifyError(socket))
    return { x509, commonName: commonNameOf(x509), isTrusted: Option.isNone(error), error }
  })

/** The host name of SNI; `servername` is false without one, and is missing from the types of a server's socket. */
const serverNameOf = (socket: TLSSocket): Option.Option<string> => {
  const { servername } = socket as { readonly servername?: unknown }
  return typeof servername === "string" && servername !== "" ? Option.some(servername) : Option.none()
}

export const sessionOf = (socket: TLSSocket, requestsCertificate: boolean): Session => ({
  protocol: socket.getProtocol() ?? "unknown",
  cipher: socket.getCipher()?.name ?? "unknown",
  serverName: serverNameOf(socket),
  isResumed: socket.isSessionReused(),
  clientCertificate: requestsCertificate ? certificateOf(socket) : Option.none()
})
