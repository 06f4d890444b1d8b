/**
 * Who runs next, for fibers of which there are many and each lives shortly.
 *
 * Effect's own scheduler (since 3.20) keeps a queue for each fiber, in a `WeakMap`, which V8 clears in full collections
 * alone: each fiber that has ever waited outlives its request until then. Here a task is a microtask of its own, which has
 * the asynchronous context of its fiber just as well, and nothing is kept: a tenth of a request whose handler waits.
 *
 * @internal
 */
import { defaultScheduler, type Scheduler, SchedulerRunner } from "effect/Scheduler"
import { setImmediate } from "../host/hostTimers.js"

/** So many turns without a wait, as in Effect; then timers, sockets and everything else have theirs. */
const maxMicrotasks = 2048

const resolved = Promise.resolve()

class MicrotaskScheduler implements Scheduler {
  private turns = 0
  /** Effect's own, but that it lets timers and sockets have their turn by no timer that a test replaces. */
  private readonly prioritized = SchedulerRunner.cached((depth, drain) => {
    if (depth < maxMicrotasks) void resolved.then(() => drain(depth + 1))
    else setImmediate(() => drain(0))
  })

  readonly shouldYield: Scheduler["shouldYield"] = (fiber) => defaultScheduler.shouldYield(fiber)

  readonly scheduleTask: Scheduler["scheduleTask"] = (task, priority, fiber) => {
    // Priorities are an order among tasks that wait together, of which there are none here.
    if (priority !== 0) {
      this.prioritized(fiber).scheduleTask(task, priority)
    } else if (++this.turns < maxMicrotasks) {
      void resolved.then(task)
    } else {
      this.turns = 0
      setImmediate(task)
    }
  }
}

export const microtaskScheduler: Scheduler = new MicrotaskScheduler()
