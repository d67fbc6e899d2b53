export { complianceCases, runCase, runCompliance } from "./compliance/suite.js";
export type * from "./compliance/types.js";
export { ECHO_PORTS } from "./compliance/types.js";
export type * from "./types.js";
