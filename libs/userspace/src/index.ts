export { UserspaceDataPlane, type UserspaceOptions } from "./plane.js";
export type { RoutingOptions } from "./routing.js";
export { openEspSocket } from "./sockets.js";
