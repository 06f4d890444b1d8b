/** What a connection can be in the middle of when its server closes. */
import { requestText } from "../support/rawClient.js"
import { type Client, type ClientOptions, connect } from "./client.js"

export interface State {
  readonly enter: (port: number) => Promise<Client>
  /** Whether a handler has begun that does not end by itself: it has all of `drainTimeout`. */
  readonly isEndless: boolean
}

const sending =
  (text: string, until: (client: Client) => Promise<unknown> = async () => {}, options?: ClientOptions) =>
  async (port: number): Promise<Client> => {
    const client = await connect(port, options)
    await until(client.send(text))
    return client
  }

/** Milliseconds that a handler takes which is running then. */
export const runsFor = 2000

const discardsBytes = { discardsBytes: true }

export const connectionStates: Readonly<Record<string, State>> = {
  idle: { isEndless: false, enter: sending(requestText("GET /"), (client) => client.response()) },
  "never spoken": { isEndless: false, enter: sending("") },
  "half a head": { isEndless: false, enter: sending("GET / HTTP/1.1\r\nHo") },
  "half a body": { isEndless: true, enter: sending(requestText("POST /echo", ["Content-Length: 100"], "0123456789")) },
  "handler running": { isEndless: false, enter: sending(requestText(`GET /slow?${runsFor}`)) },
  "handler never ending": { isEndless: true, enter: sending(requestText("GET /never")) },
  "streaming endlessly": {
    isEndless: true,
    enter: sending(requestText("GET /trickle"), (client) => client.bytes(2000), discardsBytes)
  },
  "not reading": {
    isEndless: true,
    enter: sending(
      requestText("GET /endless"),
      async (client) => {
        await client.bytes(100_000)
        client.stopReading()
      },
      discardsBytes
    )
  },
  upgraded: {
    isEndless: true,
    enter: sending(requestText("GET /upgrade", ["Connection: Upgrade", "Upgrade: echo"]), (client) => client.response())
  }
}
