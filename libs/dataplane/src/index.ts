export type * from "./compliance/types.js";
export { ECHO_PORTS } from "./compliance/types.js";
export type * from "./types.js";
