/** Connection ids: one counter for all transports of the process. */
let last = 0

export const nextConnectionId = (): number => ++last
