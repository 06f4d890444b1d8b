/**
 * Scheduler for many short-lived fibers.
 *
 * Effect's scheduler (since 3.20) keeps a queue for each fiber in a `WeakMap`, which V8 clears in full collections only: until
 * then each fiber that was ever suspended outlives its request. Here each task is a microtask, which preserves the async
 * context of its fiber, and nothing is retained. This saves a tenth of a request whose handler is suspended.
 */
import { defaultScheduler, type Scheduler, SchedulerRunner } from "effect/Scheduler"
import { setImmediate } from "../host/hostTimers.js"

/** Maximum of consecutive microtasks, as in Effect; then timers and sockets are processed. */
const maxMicrotasks = 2048

const resolved = Promise.resolve()

class MicrotaskScheduler implements Scheduler {
  private tasks = 0
  /** Effect's implementation, but with a `setImmediate` that tests do not replace. */
  private readonly prioritized = SchedulerRunner.cached((depth, drain) => {
    if (depth < maxMicrotasks) void resolved.then(() => drain(depth + 1))
    else setImmediate(() => drain(0))
  })

  readonly shouldYield: Scheduler["shouldYield"] = (fiber) => defaultScheduler.shouldYield(fiber)

  readonly scheduleTask: Scheduler["scheduleTask"] = (task, priority, fiber) => {
    // Priorities order queued tasks; tasks of priority 0 are not queued here.
    if (priority !== 0) {
      this.prioritized(fiber).scheduleTask(task, priority)
    } else if (++this.tasks < maxMicrotasks) {
      void resolved.then(task)
    } else {
      this.tasks = 0
      setImmediate(task)
    }
  }
}

export const microtaskScheduler: Scheduler = new MicrotaskScheduler()
