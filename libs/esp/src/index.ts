export {
  createEsp,
  ESP_HEADER_BYTES,
  type Esp,
  type EspFraming,
  type EspParameters,
  framingOf,
  NEXT_HEADER_DUMMY,
  OpenRefusal,
} from "./esp.js";
export { MAX_REPLAY_WINDOW, type ReplayVerdict, ReplayWindow, SequenceCounter } from "./replay.js";
