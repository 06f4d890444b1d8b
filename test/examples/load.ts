/**
 * Load for a bounded time: loops that send one request after the other, on connections that are kept alive and on new ones.
 * No request is sent twice; each that has no complete response of 200 is a failure.
 */
import * as http from "node:http"

/** Milliseconds for a test that starts several programs one after the other, on a machine that runs other tests. */
export const loadedTimeout = 240_000

export interface Load {
  /** Bodies of the responses since the last call. */
  readonly takeBodies: () => ReadonlySet<string>
  /** What has failed until now. A loop ends with its first failure. */
  readonly failures: ReadonlyArray<string>
  /** Ends the loops after their current requests; resolves to the number of requests. */
  readonly stop: () => Promise<number>
}

const request = (url: string, agent: http.Agent | false): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = http.get(url, { agent }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      })
      response.on("error", reject)
      response.on("end", () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`${response.statusCode}: ${text}`))
      })
    })
    sent.on("error", (error: NodeJS.ErrnoException) =>
      reject(new Error(`${error.code ?? error.message} on a ${sent.reusedSocket ? "reused" : "new"} connection`))
    )
  })

/** Starts two loops with keep-alive and two without; each ends after `maxRequests` at the latest. */
export const startLoad = (url: string, maxRequests = 20_000): Load => {
  let isStopped = false
  let requests = 0
  let bodies = new Set<string>()
  const failures: Array<string> = []
  const loop = async (agent: http.Agent | false): Promise<void> => {
    try {
      for (let sent = 0; !isStopped && sent < maxRequests; sent++) {
        requests++
        bodies.add(await request(url, agent))
      }
    } catch (error) {
      failures.push(String(error))
    }
  }
  const agents = [0, 1].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }))
  const loops = [...agents, false as const, false as const].map(loop)
  return {
    failures,
    takeBodies: () => {
      const taken = bodies
      bodies = new Set()
      return taken
    },
    stop: async () => {
      isStopped = true
      await Promise.all(loops)
      for (const agent of agents) agent.destroy()
      return requests
    }
  }
}
