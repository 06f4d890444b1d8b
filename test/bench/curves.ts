/** How cost grows: `GET /` and a body that is read whole, over what a client can make more of. */

import type { Need } from "./peer.js"
import { post, type Requests, requests } from "./workload.js"

export interface Curve {
  readonly title: string
  readonly needs?: Need
  readonly points: ReadonlyArray<number>
  readonly load: (point: number) => Requests
}

const headers = (count: number): ReadonlyArray<readonly [string, string]> =>
  Array.from({ length: count }, (_, i) => [`X-Header-${i}`, `a value of some thirty bytes, ${i}`])

export const curves: { readonly [name: string]: Curve } = {
  connections: {
    title: "connections",
    points: [1, 8, 64, 512, 4096],
    load: (connections) => requests({ connections })
  },
  headers: {
    title: "header fields",
    points: [0, 4, 8, 16, 32, 64],
    load: (count) => requests({ headers: headers(count) })
  },
  body: {
    title: "bytes of body",
    needs: "bodies",
    points: [0, 1024, 16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024],
    load: (size) => post(size, "length")
  }
}
