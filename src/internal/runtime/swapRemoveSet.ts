/**
 * A set of things that come and go all the time: each knows its place, and leaves it to the last one.
 *
 * Not a `Set`: that makes a new table each time its holes fill up, and V8 links the old table to the new one, so that
 * through a dead table in the old generation every connection of a busy server outlives its time. With a connection a
 * request half of the processor went into collecting them. The place is the thing's own, since an entry beside it would
 * be 40 bytes of every idle connection.
 *
 * @internal
 */

export interface Indexed {
  /** Its place in the one registry it may be in; -1 when it is in none. */
  index: number
}

export class SwapRemoveSet<A extends Indexed> {
  private readonly items: Array<A> = []

  get size(): number {
    return this.items.length
  }

  add(member: A): void {
    member.index = this.items.length
    this.items.push(member)
  }

  /** Takes a member out; taking it out again does nothing. */
  remove(member: A): void {
    if (member.index < 0) return
    const last = this.items.pop()
    if (last !== undefined && last !== member) {
      last.index = member.index
      this.items[member.index] = last
    }
    member.index = -1
  }

  some(isSuch: (member: A) => boolean): boolean {
    return this.items.some(isSuch)
  }

  /** What is registered now; what comes and goes while it is looked at makes no difference. */
  get values(): ReadonlyArray<A> {
    return this.items.slice()
  }
}
