import { requestText } from "../../support/rawClient.js"
import { connect } from "../client.js"
import { exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import { eventually, forEach, range } from "../waiting.js"

/** How many of each kind. */
const each = 100

/** What a handler does, and what its client receives; then it asks again on the same connection. */
const responded: Readonly<Record<string, number>> = { "/throw": 500, "/die": 500, "/leak": 200, "/missing": 404 }

/** A handler can harm its own request, and nothing else. */
export const scenario: Scenario = {
  title: "handlers that throw, die, never end, fail late, and leak a child fiber",
  order: 5,
  run: async (run) => {
    const server = await run.process()
    const port = await server.listen({ drainTimeout: 0 })
    const before = await server.census()
    for (const [path, expected] of Object.entries(responded)) {
      const statuses = await forEach(range(each), 20, async () => {
        const client = await connect(port)
        const { status } = await client.send(requestText(`GET ${path}`)).response()
        const next = await client.send(requestText("GET /")).response()
        client.destroy()
        return next.status === 200 ? status : next.status
      })
      const wrong = statuses.filter((status) => status !== expected).length
      run.measured({
        what: `responses other than ${expected}, and 200 to the next, ${path}`,
        figure: wrong,
        bound: exactly(0)
      })
    }
    // What has begun cannot be taken back: the connection ends, so that it is not taken for complete.
    const whole = await forEach(range(each), 20, async () => {
      const client = await connect(port)
      await client.send(requestText("GET /late")).end()
      const isWhole = client.unread.toString("latin1").endsWith("0\r\n\r\n")
      client.destroy()
      return isWhole
    })
    const taken = whole.filter((isWhole) => isWhole).length
    run.measured({ what: "broken responses that look whole, /late", figure: taken, bound: exactly(0) })
    const clients = await forEach(range(each), 20, async () => (await connect(port)).send(requestText("GET /never")))
    const running = await eventually(
      () => server.census(),
      ({ handlers }) => handlers === each
    )
    run.measured({
      what: "handlers that never end, and whose client leaves",
      figure: running.handlers,
      bound: exactly(each)
    })
    for (const client of clients) client.reset()
    await run.nothingIsLeft(server, before)
  }
}
