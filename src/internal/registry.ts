/**
 * A set of things that come and go all the time: each entry knows its place, and leaves it to the last one.
 *
 * Not a `Set`: that makes a new table each time its holes fill up, and V8 links the old table to the new one, so that
 * through a dead table in the old generation every connection of a busy server outlives its time. With a connection a
 * request half of the processor went into collecting them.
 *
 * @internal
 */

export interface Entry<A> {
  readonly value: A
  /** Its place in the registry; -1 when it has left. */
  at: number
}

export class Registry<A> {
  private readonly entries: Array<Entry<A>> = []

  get size(): number {
    return this.entries.length
  }

  add(value: A): Entry<A> {
    const entry = { value, at: this.entries.length }
    this.entries.push(entry)
    return entry
  }

  /** Takes an entry out; taking it out again does nothing. */
  remove(entry: Entry<A>): void {
    if (entry.at < 0) return
    const last = this.entries.pop()
    if (last !== undefined && last !== entry) {
      last.at = entry.at
      this.entries[entry.at] = last
    }
    entry.at = -1
  }

  /** What is registered now; what comes and goes while it is looked at makes no difference. */
  get values(): ReadonlyArray<A> {
    return this.entries.map((entry) => entry.value)
  }
}
