/** Former place of `support/parsedResponse.ts`, for the tests that import it from here. */
export * from "../support/parsedResponse.js"
