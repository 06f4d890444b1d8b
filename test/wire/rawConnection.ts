/** Former place of `support/rawClient.ts`, for the tests that import it from here. */

export type { RawClient as RawConnection } from "../support/rawClient.js"
export * from "../support/rawClient.js"
