/**
 * The bound of handshakes in progress. A handshake costs as much processor time as 40 small requests: beyond the bound they
 * wait, in the order in which their connections were admitted.
 */

/** A connection whose handshake waits or is in progress. */
export interface Handshake {
  readonly start: () => void
}

export class Handshakes {
  private readonly running = new Set<Handshake>()
  private readonly waiting = new Set<Handshake>()

  constructor(private readonly max: number) {}

  /** Starts a handshake, at once or when one before it has ended. */
  begin(handshake: Handshake): void {
    if (this.running.size >= this.max) this.waiting.add(handshake)
    else this.run(handshake)
  }

  /** Removes a handshake that has completed, failed, or not begun; has no effect on any other. */
  end(handshake: Handshake): void {
    if (this.waiting.delete(handshake) || !this.running.delete(handshake)) return
    for (const next of this.waiting) {
      this.waiting.delete(next)
      this.run(next)
      return
    }
  }

  private run(handshake: Handshake): void {
    this.running.add(handshake)
    handshake.start()
  }
}
