/**
 * Responses that the kit's client accepts or rejects, and where Node's client decides otherwise.
 *
 * Texts have one character a byte. A rejected response is split where it becomes wrong: `valid` has no error yet, and the
 * first byte of `invalid` is one.
 */
import type { Rejected } from "./responses/cases.js"
import { rejectedChunks } from "./responses/rejectedChunks.js"
import { rejectedFraming } from "./responses/rejectedFraming.js"
import { rejectedHeads } from "./responses/rejectedHeads.js"

export { accepted } from "./responses/accepted.js"
export type { Accepted, NodeDiffers, Rejected, Truncated } from "./responses/cases.js"
export { truncated } from "./responses/truncated.js"

export const rejected: ReadonlyArray<Rejected> = [...rejectedHeads, ...rejectedFraming, ...rejectedChunks]
