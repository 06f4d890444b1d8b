/**
 * The numbers of connections, whatever their transport: one count for the whole process.
 *
 * @internal
 */
let last = 0

export const nextConnectionId = (): number => ++last
