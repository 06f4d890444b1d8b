/**
 * A clock that stands until it is moved. `TestClock` is one too, but asks with timers whether every fiber waits, at some
 * milliseconds a step of time: more than all the rest of what the model tries.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

export class StandingClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private now = 0
  private sleepers: ReadonlyArray<Sleeper> = []

  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(this.now) * 1_000_000n
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const sleeper = { until: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      this.sleepers = [...this.sleepers, sleeper]
      this.wake()
      return Effect.sync(() => {
        this.sleepers = this.sleepers.filter((each) => each !== sleeper)
      })
    })
  }

  advance(seconds: number): void {
    this.now += seconds * 1000
    this.wake()
  }

  private wake(): void {
    const due = this.sleepers.filter(({ until }) => until <= this.now)
    this.sleepers = this.sleepers.filter(({ until }) => until > this.now)
    for (const { wake } of due) wake()
  }
}
