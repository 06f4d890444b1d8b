/** What is known of an encrypted connection, read from its `TLSSocket`. */
import type { X509Certificate } from "node:crypto"
import type { TLSSocket } from "node:tls"
import * as Option from "effect/Option"
import type { ClientCertificate, Session } from "../../Tls.js"

/** The result of a verification: Node has an error or null, Deno a code or an empty string. */
type Verified = (Error & { readonly code?: string }) | string | null | undefined

interface Verifying {
  /** The member of the handle that `tls.Server` calls: on Node and Deno, `authorized` of a separate `TLSSocket` is never set. */
  readonly _handle?: { readonly verifyError?: () => Verified } | null
  /** Set by Bun, which has no such member. */
  readonly authorized?: boolean
  readonly authorizationError?: Verified
}

const verificationOf = ({ _handle: handle, authorizationError, authorized }: Verifying): Verified => {
  if (typeof handle?.verifyError === "function") return handle.verifyError()
  return authorized === true ? null : authorizationError || "UNSPECIFIED"
}

/**
 * Why the client's certificate is not trusted, or missing. A client without a certificate is verified as well by Deno, and by
 * Node when it resumes a session of TLS 1.3.
 */
export const verifyError = (socket: TLSSocket): string | undefined => {
  const error = verificationOf(socket as Verifying)
  if (error) return typeof error === "string" ? error : (error.code ?? error.message)
  return socket.getPeerX509Certificate() === undefined ? "UNABLE_TO_GET_ISSUER_CERT" : undefined
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
