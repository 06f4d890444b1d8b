/**
 * Certificates for tests: an authority, and leaf certificates that it issues.
 */
import "reflect-metadata"
import { webcrypto } from "node:crypto"
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator
} from "@peculiar/x509"

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

const rsa = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048
}

export interface Issued {
  readonly key: string
  readonly cert: string
}

export interface Authority {
  readonly cert: string
  /** Issues a certificate for host names and addresses. */
  readonly issue: (options?: IssueOptions) => Promise<Issued>
}

export interface IssueOptions {
  readonly names?: ReadonlyArray<string>
  readonly commonName?: string
  readonly type?: "EC" | "RSA"
  readonly notAfter?: Date
}

const day = 24 * 60 * 60 * 1000

const crypto = webcrypto

const exportKey = async (key: webcrypto.CryptoKey): Promise<string> =>
  PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), PemConverter.PrivateKeyTag)

const generate = (type: "EC" | "RSA"): Promise<webcrypto.CryptoKeyPair> =>
  crypto.subtle.generateKey(type === "EC" ? ecdsa : rsa, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>

let serial = 1

const nextSerial = (): string => (serial++).toString(16).padStart(2, "0")

export const makeAuthority = async (name = "Test Authority"): Promise<Authority> => {
  const keys = await generate("EC")
  const root: X509Certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: nextSerial(),
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + 30 * day),
      keys,
      signingAlgorithm: ecdsa,
      extensions: [new BasicConstraintsExtension(true, undefined, true)]
    },
    crypto
  )
  return {
    cert: root.toString("pem"),
    issue: async ({ commonName, names = ["localhost", "127.0.0.1", "::1"], notAfter, type = "EC" } = {}) => {
      const leaf = await generate(type)
      const cert = await X509CertificateGenerator.create(
        {
          serialNumber: nextSerial(),
          subject: `CN=${commonName ?? names[0]}`,
          issuer: root.subject,
          notBefore: new Date(Date.now() - day),
          notAfter: notAfter ?? new Date(Date.now() + day),
          publicKey: leaf.publicKey,
          signingKey: keys.privateKey,
          signingAlgorithm: ecdsa,
          extensions: [
            new SubjectAlternativeNameExtension(
              names.map((value) => ({ type: /^[0-9.]+$|:/.test(value) ? ("ip" as const) : ("dns" as const), value }))
            ),
            new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth])
          ]
        },
        crypto
      )
      return { key: await exportKey(leaf.privateKey), cert: cert.toString("pem") }
    }
  }
}
