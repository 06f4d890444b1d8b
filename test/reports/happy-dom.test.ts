// @vitest-environment happy-dom
/** "In Vitest's happy-dom environment a response of three letters is 500, and `Reply.bytes` of a Buffer a TypeError." */
import { inRealm } from "./otherRealm.js"

inRealm("happy-dom")
