/** examples/haproxy.cfg with the real HAProxy before two instances of examples/health.ts. */
import { writeFileSync } from "node:fs"
import { describe, it } from "vitest"
import { configuration, isInstalled, type Ports, restartBoth, reuseConnections, withBalancer } from "./balancer.js"
import { loadedTimeout } from "./load.js"

const haproxy = (folder: string, ports: Ports) => {
  writeFileSync(`${folder}/haproxy.cfg`, configuration("haproxy.cfg", ports))
  // In the foreground and quiet: it prints a warning for each change of an instance's health.
  return ["haproxy", "-q", "-db", "-f", `${folder}/haproxy.cfg`] as const
}

describe.skipIf(!isInstalled("haproxy"))("examples/haproxy.cfg (skipped where HAProxy is not installed)", () => {
  it(
    "reuses connections to the instances, and names the client",
    () => withBalancer(haproxy, reuseConnections),
    loadedTimeout
  )

  it("loses no request when both instances restart", () => withBalancer(haproxy, restartBoth), loadedTimeout)
})
