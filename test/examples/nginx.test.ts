/** examples/nginx.conf with the real nginx before two instances of examples/health.ts. */
import { writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { configuration, isInstalled, type Ports, restartBoth, reuseConnections, withBalancer } from "./balancer.js"
import { byFetch } from "./client.js"
import { loadedTimeout } from "./load.js"

const nginx = (folder: string, ports: Ports) => {
  // The compiled-in folders of temporary files are root's.
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`
  )
  const text = configuration("nginx.conf", ports).replace(
    "http {",
    `http {\n  access_log off;\n  ${paths.join("\n  ")}`
  )
  writeFileSync(`${folder}/nginx.conf`, text)
  const globals = `daemon off; master_process off; pid ${folder}/pid;`
  return ["nginx", "-p", folder, "-e", `${folder}/error.log`, "-c", `${folder}/nginx.conf`, "-g", globals] as const
}

describe.skipIf(!isInstalled("nginx"))("examples/nginx.conf (skipped where nginx is not installed)", () => {
  it(
    "reuses connections to the instances, names the client, and passes the health checks on",
    () =>
      withBalancer(nginx, async (balancer) => {
        const health = await byFetch({ method: "GET", url: `${balancer.url}/health/2` })
        expect([health.status, health.body.toString()]).toStrictEqual([200, "ready"])
        return reuseConnections(balancer)
      }),
    loadedTimeout
  )

  it("loses no request when both instances restart", () => withBalancer(nginx, restartBoth), loadedTimeout)
})
