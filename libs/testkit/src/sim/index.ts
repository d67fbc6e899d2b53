export { disagreements, reaches, traffic } from "./agreement.js";
export { ADDRESSES, childOf, configOf, ESP_PROPOSAL, IKE_PROPOSAL, peerOf, range } from "./configs.js";
export {
  converseByEap,
  EAP_IDI,
  type EapEnding,
  type EapWiring,
  eapContext,
  eapPeerConfig,
  eapServerConfig,
} from "./eap-rig.js";
export { FakeDataPlane } from "./fake-data-plane.js";
export { Network, type NetworkFaults, type Packet, type Tap } from "./network.js";
export { SeededRng } from "./rng.js";
export { ESP_OFFER, IKE_OFFER, type Reply, ScriptedPeer } from "./scripted-peer.js";
export { isIkeSaInit, ScriptedResponder } from "./scripted-responder.js";
export { anchor, SimKeys, type SimKeyType, trusting } from "./sim-keys.js";
export { SimPeer } from "./sim-peer.js";
export { type Pair, pair, Simulation } from "./simulation.js";
export { VirtualClock } from "./virtual-clock.js";
