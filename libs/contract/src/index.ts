export { fromConnectError, toConnectError, toProblem } from "./errors.js";
export * from "./generated/sallyport/agent/v1/agent_pb.js";
export * from "./generated/sallyport/agent/v1/enrolment_pb.js";
export * from "./generated/sallyport/agent/v1/intent_pb.js";
export * from "./generated/sallyport/agent/v1/revocation_pb.js";
export * from "./generated/sallyport/agent/v1/state_pb.js";
export * from "./limits.js";
export { decodeToken, encodeToken, type TokenContent } from "./token.js";
