export { disagreements, reaches, traffic } from "./agreement.js";
export { ADDRESSES, childOf, configOf, ESP_PROPOSAL, IKE_PROPOSAL, peerOf, range } from "./configs.js";
export { FakeDataPlane } from "./fake-data-plane.js";
export { Network, type NetworkFaults, type Packet, PERFECT, type Tap } from "./network.js";
export { SeededRng } from "./rng.js";
export { anchor, SimKeys, type SimKeyType, trusting } from "./sim-keys.js";
export { SimPeer } from "./sim-peer.js";
export { type Pair, pair, Simulation } from "./simulation.js";
export { VirtualClock } from "./virtual-clock.js";
