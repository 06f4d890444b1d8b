/**
 * The listener of a server: opened and closed one change at a time.
 *
 * Waits are interruptible: for the bind itself, which may resolve a host name, and for a change in progress. An interrupted or
 * failed bind closes its scope, so no listening socket leaks. There is no semaphore, which could lose its permit to a fiber that
 * is interrupted between acquiring it and registering the release (effect 3.22).
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { toUrl } from "../../Address.js"
import { OSError, ValueError } from "../../Errors.js"
import type { ListenError } from "../../Listener.js"
import type { BoundListeners } from "./boundListeners.js"

export interface Listening {
  readonly _tag: "Listening"
  readonly bound: BoundListeners
  readonly scope: Scope.CloseableScope
}

interface Idle {
  readonly _tag: "Idle"
}

/** A bind or a close in progress. */
interface Changing {
  readonly _tag: "Changing"
  /** Opened to cancel a bind. */
  readonly canceled: Effect.Latch
  readonly ended: Effect.Latch
}

/** The scope of the server has closed. */
interface Closed {
  readonly _tag: "Closed"
}

const idle: Idle = { _tag: "Idle" }
const closed: Closed = { _tag: "Closed" }

const bindCanceled = Effect.suspend(
  () => new OSError({ code: "ECANCELED", syscall: "listen", cause: new Error("the server was closed") })
)

export const alreadyListening = ({ bound }: Listening): ValueError =>
  new ValueError({ reason: "AlreadyListening", actual: toUrl(bound.address) })

type Listen = Effect.Effect<BoundListeners, ListenError, Scope.Scope>

export class ListenerState {
  private state: Idle | Changing | Listening | Closed = idle

  constructor(private readonly onListening: () => void) {}

  /** The listener, unless the server does not listen. */
  get current(): Listening | undefined {
    return this.state._tag === "Listening" ? this.state : undefined
  }

  /** The listener; `ENOTCONN`, of a system call, if the server does not listen. */
  bound(syscall: string): Effect.Effect<BoundListeners, OSError> {
    return Effect.suspend(() =>
      this.state._tag === "Listening" ? Effect.succeed(this.state.bound) : new OSError({ code: "ENOTCONN", syscall })
    )
  }

  /** Binds, or continues with the current listener. Fails with `ECANCELED` if the server closes before the bind completes. */
  open<A>(
    listen: Listen,
    ifListening: (current: Listening) => Effect.Effect<A, ValueError>
  ): Effect.Effect<Listening | A, ListenError> {
    return Effect.uninterruptibleMask((restore) => {
      const opened: Effect.Effect<Listening | A, ListenError> = Effect.suspend(() => {
        const { state } = this
        switch (state._tag) {
          case "Idle":
            return this.bind(listen, restore)
          case "Changing":
            return Effect.zipRight(restore(state.ended.await), opened)
          case "Listening":
            return ifListening(state)
          case "Closed":
            return bindCanceled
        }
      })
      return opened
    })
  }

  private bind(
    listen: Listen,
    restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  ): Effect.Effect<Listening, ListenError> {
    const change = this.begin()
    return Effect.flatMap(Scope.make(), (scope) => {
      // Interruptible also for an uninterruptible caller: `close` does not wait for the bind.
      const bound = Effect.interruptible(Scope.extend(listen, scope))
      const canceled = Effect.interruptible(Effect.zipRight(change.canceled.await, bindCanceled))
      return restore(Effect.raceFirst(bound, canceled)).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
        Effect.map((bound): Listening => ({ _tag: "Listening", bound, scope })),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            this.end(change, Exit.isSuccess(exit) ? exit.value : idle)
            if (Exit.isSuccess(exit)) this.onListening()
          })
        )
      )
    })
  }

  /** Stops listening, and cancels a bind in progress. A closed server may listen again. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => this.closeTo(idle))

  /** Closes for good. */
  readonly shutdown: Effect.Effect<void> = Effect.suspend(() => this.closeTo(closed))

  private closeTo(next: Idle | Closed): Effect.Effect<void> {
    const closing: Effect.Effect<void> = Effect.suspend(() => {
      const { state } = this
      switch (state._tag) {
        case "Idle":
          this.state = next
          return Effect.void
        case "Changing":
          state.canceled.unsafeOpen()
          return Effect.zipRight(state.ended.await, closing)
        case "Listening": {
          const change = this.begin()
          return Effect.ensuring(
            Scope.close(state.scope, Exit.void),
            Effect.sync(() => this.end(change, next))
          )
        }
        case "Closed":
          return Effect.void
      }
    })
    return Effect.uninterruptible(closing)
  }

  private begin(): Changing {
    const change: Changing = {
      _tag: "Changing",
      canceled: Effect.unsafeMakeLatch(false),
      ended: Effect.unsafeMakeLatch(false)
    }
    this.state = change
    return change
  }

  private end(change: Changing, next: Idle | Listening | Closed): void {
    this.state = next
    change.ended.unsafeOpen()
  }
}
