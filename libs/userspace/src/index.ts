export type { UserspaceOptions } from "./options.js";
export { UserspaceDataPlane } from "./plane.js";
export { ROUTING_DEFAULTS, type RoutingOptions } from "./routing.js";
export { openEspSocket } from "./sockets.js";
