import { type Outcome, outcomeOf, type Sample } from "./figures.js"
import type { Loading } from "./measuring.js"
import { type Runnable, type Running, run } from "./server.js"

/** Peers that are measured together: a peer that fails is dropped, and the others continue. */
export class Field {
  private readonly samples = new Map<string, Array<Sample>>()
  private readonly dropped = new Set<string>()

  constructor(
    private readonly peers: ReadonlyArray<Runnable>,
    private readonly loading: Loading,
    private readonly core: number,
    private readonly onFailure: (peer: string, error: unknown) => void
  ) {}

  async measure(rounds: number): Promise<void> {
    if (this.loading.isFresh) for (let i = 0; i < rounds; i++) await this.session(1)
    else await this.session(rounds)
  }

  /** Starts them all, measures each that many times, and ends them. */
  private async session(times: number): Promise<void> {
    const servers: Array<Running> = []
    try {
      for (const peer of this.peers) {
        await this.attempt(peer.name, async () => void servers.push(await run(peer, this.core)))
      }
      for (const server of servers) await this.attempt(server.name, () => this.loading.check(server))
      await Promise.all(servers.map((server) => this.attempt(server.name, () => this.loading.warmUp(server))))
      for (let i = 0; i < times; i++) {
        // The order rotates: no peer is always first, or always after the same one.
        for (const server of [...servers.slice(i), ...servers.slice(0, i)]) await this.sample(server)
      }
    } finally {
      await Promise.all(servers.map((server) => server.end()))
    }
  }

  get outcomes(): ReadonlyMap<string, Outcome> {
    return new Map([...this.samples].map(([name, samples]) => [name, outcomeOf(samples)]))
  }

  private sample(server: Running): Promise<void> {
    return this.attempt(server.name, async () => {
      const sample = await this.loading.sample(server)
      this.samples.set(server.name, [...(this.samples.get(server.name) ?? []), sample])
    })
  }

  private async attempt(peer: string, step: () => Promise<void>): Promise<void> {
    if (this.dropped.has(peer)) return
    try {
      await step()
    } catch (error) {
      this.dropped.add(peer)
      this.samples.delete(peer)
      this.onFailure(peer, error)
    }
  }
}
