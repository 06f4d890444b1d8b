/**
 * 100 MiB down or up, by one connection, some times one after the other. As with requests, the server's time is taken
 * with the client on the same core; how fast it is, and how far its memory rises, with each on its own.
 */
import { join } from "node:path"
import { streamed } from "./content.js"
import type { Loading, Measuring } from "./measuring.js"
import { cpuTime, finished, forgetPeak, peakResident, resident } from "./proc.js"
import type { Running } from "./server.js"
import type { Streaming } from "./workload.js"

/** At 10 ms a tick, and 20 to 100 ms for 100 MiB. */
const times = 8

const mib = (times * streamed) / 1024 ** 2

export const streaming = ({ direction }: Streaming, { folder, generatorCore, serverCore }: Measuring): Loading => {
  /** Gives the seconds it took. */
  const stream = async ({ port }: Running, core: number, count = times): Promise<number> => {
    const command = [process.execPath, join(folder, "streamer.js"), direction, String(port), String(count)]
    return Number(await finished(command, { core }))
  }
  return {
    isFresh: false,
    connections: 1,
    obstacle: undefined,

    check: async (server) => {
      await stream(server, generatorCore, 1)
    },

    warmUp: async (server) => {
      await stream(server, generatorCore, 2)
    },

    sample: async (server) => {
      const used = cpuTime(server.pid)
      await stream(server, serverCore)
      const cpuPerMiB = (cpuTime(server.pid) - used) / mib
      const before = await server.ask("tell")
      const isForgotten = forgetPeak(server.pid)
      const standing = resident(server.pid)
      const seconds = await stream(server, generatorCore)
      const rise = isForgotten ? (peakResident(server.pid) - standing) / 1024 ** 2 : undefined
      const after = await server.ask("tell")
      const collecting = after && before && after.collecting - before.collecting
      return {
        cpuPerMiB,
        mibRate: mib / seconds,
        rise,
        gcPerMiB: collecting && (collecting * 1000) / mib,
        rss: resident(server.pid) / 1024 ** 2
      }
    }
  }
}
