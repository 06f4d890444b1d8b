/** The same test over both transports. */
import { describe } from "@effect/vitest"
import { TestServer } from "effect-asynchttpserver/testing"

const transports = [
  { name: "on loopback", make: TestServer.make, layer: TestServer.layer },
  { name: "in memory", make: TestServer.makeMemory, layer: TestServer.layerMemory }
] as const

/** Both transports have the same signatures, except for the errors of the system. */
export type Transport = (typeof transports)[number]

export const overBoth = (tests: (transport: Transport) => void): void => {
  for (const transport of transports) describe(transport.name, () => tests(transport))
}
