/**
 * @since 0.1.0
 */
export * as Address from "./Address.js"
export * as BodyBudget from "./BodyBudget.js"
export * as DescriptorBudget from "./DescriptorBudget.js"
export * as Errors from "./Errors.js"
export * as HttpCode from "./HttpCode.js"
export * as HttpHeaders from "./HttpHeaders.js"
export * as HttpMethod from "./HttpMethod.js"
export * as HttpVersion from "./HttpVersion.js"
export * as Limits from "./Limits.js"
export * as Listener from "./Listener.js"
export * as Metrics from "./Metrics.js"
export * as Request from "./Request.js"
export * as RequestParser from "./RequestParser.js"
export * as Response from "./Response.js"
export * as ResponseWriter from "./ResponseWriter.js"
export * as Server from "./Server.js"
