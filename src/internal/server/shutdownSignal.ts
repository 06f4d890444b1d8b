/**
 * The beginning of a shutdown, as a signal for what would otherwise run for as long as the server does.
 *
 * One `Latch` for a server, and one for each `serve`, which may end before its server does: a connection and a request have
 * neither a latch nor a fiber for it. A server that listens again has a new one.
 *
 * @internal
 */
import * as Effect from "effect/Effect"

export class ShutdownSignal {
  private latch = Effect.unsafeMakeLatch(false)
  private hasBegun = false
  private readonly serveLatches = new Set<Effect.Latch>()

  /** For what is served until the server closes. */
  get serverLatch(): Effect.Latch {
    return this.latch
  }

  /** Completes when the server begins to close, at once when it has. */
  readonly await: Effect.Effect<void> = Effect.suspend(() => this.latch.await)

  /** Opens the latches of all that is served. */
  readonly begin: Effect.Effect<void> = Effect.suspend(() => {
    this.hasBegun = true
    return Effect.forEach([this.latch, ...this.serveLatches], (latch) => latch.open, { discard: true })
  })

  /** The server listens again: what is served from now on has not been told to end. */
  renew(): void {
    if (this.hasBegun) this.latch = Effect.unsafeMakeLatch(false)
    this.hasBegun = false
  }

  /** Opens what a `serve` needs, whose latch is opened with all others from now on. */
  register<A, E, R>(latch: Effect.Latch, opened: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const added = Effect.sync(() => this.serveLatches.add(latch))
    return Effect.zipRight(
      added,
      Effect.onError(opened, () => this.end(latch))
    )
  }

  /** Closes what a `serve` needed, behind the opening of its latch. */
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
