import { once } from "node:events"
import type { AddressInfo, Server } from "node:net"

/** Listens on a loopback port of the system's choice. */
export const portOf = async (server: Server): Promise<number> => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  // What listens on a port has an address with one.
  return (server.address() as AddressInfo).port
}
