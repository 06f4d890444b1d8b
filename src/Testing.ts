/**
 * The test kit: servers for tests of HTTP clients and services. The index does not export it, and no module of the server
 * imports it.
 *
 * @since 0.1.0
 */
export * as Expectation from "./testing/Expectation.js"
export * as Failures from "./testing/Failures.js"
export * as Fault from "./testing/Fault.js"
export * as MemoryListener from "./testing/MemoryListener.js"
export * as RawClient from "./testing/RawClient.js"
export * as RecordedRequest from "./testing/RecordedRequest.js"
export * as Reply from "./testing/Reply.js"
export * as TestServer from "./testing/TestServer.js"
