// @vitest-environment jsdom
/** "In Vitest's jsdom environment a response of three letters is 500, and `Reply.bytes` of a Buffer a TypeError." */
import { inRealm } from "./otherRealm.js"

inRealm("jsdom")
