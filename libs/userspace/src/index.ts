export { UserspaceDataPlane, type UserspaceOptions } from "./plane.js";
export { ROUTING_DEFAULTS, type RoutingOptions } from "./routing.js";
export { openEspSocket } from "./sockets.js";
