/**
 * Credentials of TLS in files: reading them, and the stream of their changes.
 *
 * Changes are found by `stat` at an interval, not by `fs.watch`: certificates are renewed by replacing symbolic links, often
 * of a directory above, which no watch of the file sees.
 */
import { readFile, stat } from "node:fs/promises"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { SslError } from "../../Errors.js"

interface KeyPairFiles {
  readonly key: string
  readonly cert: string
  readonly passphrase?: string | Redacted.Redacted<string> | undefined
}

/** Paths of a key, of its certificates, of those by host name, and of authorities. */
export interface Files extends KeyPairFiles {
  readonly certificates?: Readonly<Record<string, KeyPairFiles>> | undefined
  readonly ca?: string | ReadonlyArray<string> | undefined
}

interface Changes extends Files {
  readonly checkInterval?: Duration.DurationInput | undefined
  readonly reloadSignal?: NodeJS.Signals | undefined
}

/** The error of a file that cannot be read, with the code of the system. */
const fileError = (cause: unknown): SslError =>
  new SslError({ code: (cause as NodeJS.ErrnoException).code ?? "UNKNOWN", cause })

const read = (path: string): Effect.Effect<string, SslError> =>
  Effect.tryPromise({ try: () => readFile(path, "utf8"), catch: fileError })

const readPair = ({ cert, key, passphrase }: KeyPairFiles) =>
  Effect.map(Effect.all([read(key), read(cert)]), ([key, cert]) => ({ key: Redacted.make(key), cert, passphrase }))

const authoritiesOf = ({ ca = [] }: Files): ReadonlyArray<string> => (typeof ca === "string" ? [ca] : ca)

export const loadFiles = (files: Files) =>
  Effect.all({
    pair: readPair(files),
    certificates: Effect.all(
      Object.fromEntries(Object.entries(files.certificates ?? {}).map(([name, pair]) => [name, readPair(pair)]))
    ),
    ca: Effect.forEach(authoritiesOf(files), read)
  }).pipe(Effect.map(({ ca, certificates, pair }) => ({ ...pair, certificates, ca: ca.length === 0 ? undefined : ca })))

/** Identifies the content of a file; a missing one has an identity too, as between the steps of a renewal. */
const identityOf = (path: string): Effect.Effect<string> =>
  Effect.promise(() =>
    stat(path).then(
      ({ dev, ino, mtimeMs, size }) => `${dev}:${ino}:${mtimeMs}:${size}`,
      () => "missing"
    )
  )

const pathsOf = (files: Files): ReadonlyArray<string> => [
  ...[files, ...Object.values(files.certificates ?? {})].flatMap(({ cert, key }) => [key, cert]),
  ...authoritiesOf(files)
]

/** One element for each signal. */
const signals = (signal: NodeJS.Signals): Stream.Stream<unknown> =>
  Stream.asyncPush<void>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const listener = (): void => void emit.single(undefined)
        process.on(signal, listener)
        return listener
      }),
      (listener) => Effect.sync(() => process.off(signal, listener))
    )
  )

/** One element when the files are not what they were at the check before. */
const checks = (files: Files, interval: Duration.DurationInput): Stream.Stream<unknown> =>
  Stream.repeatEffectWithSchedule(
    Effect.map(Effect.forEach(pathsOf(files), identityOf), (identities) => identities.join("\n")),
    Schedule.spaced(interval)
  ).pipe(Stream.changes, Stream.drop(1))

export const fileChanges = (options: Changes): Stream.Stream<unknown> =>
  Stream.mergeAll(
    [
      ...(options.reloadSignal === undefined ? [] : [signals(options.reloadSignal)]),
      ...(options.checkInterval === undefined ? [] : [checks(options, options.checkInterval)])
    ],
    { concurrency: "unbounded" }
  )
