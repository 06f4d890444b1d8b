/** examples/cluster.ts on three runners, one of which is ended by SIGTERM and one by SIGKILL while messages are sent. */
import { describe, expect, it } from "vitest"
import { jsonOf } from "./applicationClient.js"
import { byFetch } from "./client.js"
import { loadedTimeout } from "./load.js"
import { hasPostgres, withPostgres } from "./postgres.js"
import { freePort, type Program, start } from "./program.js"

/** Seconds instead of minutes until a runner that was killed is noticed. */
const settings = {
  RUNNER_HEALTH_CHECK_INTERVAL: "1 second",
  REFRESH_ASSIGNMENTS_INTERVAL: "1 second",
  ENTITY_MESSAGE_POLL_INTERVAL: "1 second",
  SHARDS_PER_GROUP: "30"
}

interface Counted {
  readonly count: number
  readonly runner: number
}

const names = Array.from({ length: 12 }, (_, index) => `counter-${index}`)

/** Counts an event with each counter, through one runner. */
const countAll = (url: string, event: string): Promise<ReadonlyArray<Counted>> =>
  Promise.all(
    names.map(async (name) => {
      const response = await byFetch({ method: "POST", url: `${url}/counters/${name}/${event}` })
      if (response.status !== 200) throw new Error(`${response.status} ${response.body}`)
      return jsonOf(response) as Counted
    })
  )

describe.skipIf(!hasPostgres)("examples/cluster.ts (skipped where Postgres is not installed)", () => {
  it(
    "loses no message when one runner is ended by SIGTERM and one by SIGKILL",
    () =>
      withPostgres(async (url) => {
        const runner = async (): Promise<Program> =>
          start("examples/cluster.ts", { ...settings, PORT: String(await freePort()), DATABASE_URL: url })
        const first = await runner()
        const programs = [first]
        try {
          programs.push(...(await Promise.all([runner(), runner()])))
          const [, second = first, third = first] = programs
          let event = 0
          const runnersOf = (counted: ReadonlyArray<Counted>) => new Set(counted.map(({ runner }) => runner)).size
          await expect
            .poll(async () => runnersOf(await countAll(first.url, `event-${event++}`)), { timeout: 120_000 })
            .toBe(3)
          const during = async (ended: Promise<unknown>): Promise<void> => {
            let isEnded = false
            const end = ended.finally(() => {
              isEnded = true
            })
            // A rejection is that of the last line, whatever the loop still waits for.
            end.catch(() => {})
            while (!isEnded) await countAll(first.url, `event-${event++}`)
            await end
          }
          await during(
            second.stop("SIGTERM").then(({ code, signal }) => expect([code, signal]).toStrictEqual([0, null]))
          )
          const sent = countAll(first.url, `event-${event++}`)
          process.kill(third.pid, "SIGKILL")
          await during(sent)
          const last = await countAll(first.url, `event-${event++}`)
          expect(last).toStrictEqual(names.map(() => ({ count: event, runner: Number(new URL(first.url).port) })))
        } finally {
          await Promise.all(programs.map((program) => program.stop("SIGTERM")))
        }
      }),
    loadedTimeout
  )
})
