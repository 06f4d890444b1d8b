/**
 * The bound of handshakes in progress. A handshake costs as much processor time as 40 small requests: beyond the bound they
 * are queued, in the order in which their connections were admitted.
 *
 * Most of the time is spent when the first message of the client arrives, which is usually there when the handshake starts. A
 * handshake that its client delays costs none: it is not counted while others are queued, or a few silent clients would
 * keep all others out.
 */
import { clearTimeout, setTimeout } from "../host/hostTimers.js"

/** Milliseconds after which a handshake counts as delayed: the bound then takes at most 40 % of a processor. */
const delayed = 100

/** A connection whose handshake is queued or in progress. */
export interface Handshake {
  readonly start: () => void
}

export class Handshakes {
  /** Those that are counted. */
  private readonly running = new Set<Handshake>()
  private readonly queued = new Set<Handshake>()
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly max: number) {}

  /** Starts a handshake, at once or when there is capacity. */
  begin(handshake: Handshake): void {
    this.queued.add(handshake)
    this.fill()
  }

  /** Removes a handshake that has completed, failed, or not begun; has no effect on any other. */
  end(handshake: Handshake): void {
    this.queued.delete(handshake)
    this.running.delete(handshake)
    this.fill()
  }

  private fill(): void {
    for (const next of this.queued) {
      if (this.running.size >= this.max) break
      this.queued.delete(next)
      this.running.add(next)
      next.start()
    }
    if (this.queued.size === 0) {
      clearTimeout(this.timer)
      this.timer = undefined
    } else this.timer ??= this.removeDelayed()
  }

  /** Stops counting the handshakes that are then still in progress. */
  private removeDelayed(): ReturnType<typeof setTimeout> {
    const before = Array.from(this.running)
    return setTimeout(() => {
      this.timer = undefined
      for (const handshake of before) this.running.delete(handshake)
      this.fill()
    }, delayed)
  }
}
