export { prepareIkeSocket } from "./ike-socket.js";
export { KernelDataPlane } from "./kernel.js";
export { ROUTE_TABLE } from "./routes.js";
