/**
 * The signal that a shutdown begins, for effects that otherwise run as long as the server (`awaitShutdown`).
 *
 * There is one `Latch` for a server, and one for each `serve`, which may end before its server; connections and requests
 * share them. A server that listens again has a new one.
 */
import * as Effect from "effect/Effect"

export class ShutdownSignal {
  private latch = Effect.unsafeMakeLatch(false)
  private hasBegun = false
  private readonly serveLatches = new Set<Effect.Latch>()

  /** The latch of connections that are served until the server closes. */
  get serverLatch(): Effect.Latch {
    return this.latch
  }

  /** Completes when the server begins to close; at once while it is closed. */
  readonly await: Effect.Effect<void> = Effect.suspend(() => this.latch.await)

  readonly begin: Effect.Effect<void> = Effect.suspend(() => {
    this.hasBegun = true
    return Effect.forEach([this.latch, ...this.serveLatches], (latch) => latch.open, { discard: true })
  })

  renew(): void {
    if (this.hasBegun) this.latch = Effect.unsafeMakeLatch(false)
    this.hasBegun = false
  }

  /** Registers the latch of a `serve` while it opens its resources; unregisters it if that fails. */
  register<A, E, R>(latch: Effect.Latch, opened: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const add = Effect.sync(() => this.serveLatches.add(latch))
    return Effect.zipRight(
      add,
      Effect.onError(opened, () => this.end(latch))
    )
  }

  /** Opens the latch of a `serve`, unregisters it, and then closes the resources of the `serve`. */
  unregister<A>(latch: Effect.Latch, closed: Effect.Effect<A>): Effect.Effect<A> {
    return Effect.zipRight(this.end(latch), closed)
  }

  private end(latch: Effect.Latch): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.serveLatches.delete(latch)
      return latch.open
    })
  }
}
