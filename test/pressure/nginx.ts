/** nginx in front of a server, with a configuration, a folder and a port of its own; it ends with the scenario. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { portOf } from "../bench/portOf.js"
import { end, isInstalled, start } from "../bench/proc.js"
import { connect } from "./client.js"
import type { ScenarioRun } from "./scenarioRun.js"

// Where Debian puts it is not on everybody's path.
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`

const isThere = isInstalled("nginx")

/** Told once, and clearly: what is skipped has shown nothing. */
export const whyNoNginx: string | undefined = isThere ? undefined : "nginx is not installed"

const configuration = (folder: string, port: number, upstream: number): string => `
daemon off;
master_process off;
pid ${folder}/pid;
error_log ${folder}/error.log;
worker_rlimit_nofile 8192;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream served { server 127.0.0.1:${upstream} max_fails=0; keepalive 16; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://served;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`

const freePort = async (): Promise<number> => {
  const server = createServer()
  const port = await portOf(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

const listens = async (port: number): Promise<void> => {
  for (;;) {
    const client = await connect(port)
    client.destroy()
    if (client.error === undefined) return
    await setTimeout(20)
  }
}

export interface Nginx {
  readonly port: number
  readonly end: () => Promise<void>
}

export const nginxBefore = async (run: ScenarioRun, upstream: number): Promise<Nginx> => {
  const folder = mkdtempSync(join(tmpdir(), "pressure-nginx-"))
  run.atEnd(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  writeFileSync(join(folder, "nginx.conf"), configuration(folder, port, upstream))
  const child = start(["nginx", "-p", folder, "-e", join(folder, "error.log"), "-c", join(folder, "nginx.conf")])
  child.stdout?.resume()
  child.stderr?.resume()
  run.atEnd(() => end(child))
  await listens(port)
  return { port, end: () => end(child) }
}
