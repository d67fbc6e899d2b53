export { AF, SOL } from "./constants.js";
export { TunDevice } from "./tun.js";
export * from "./types.js";
export { UdpSocket } from "./udp.js";
