export { type Endpoint, endpointText, type Family, IpAddress, Prefix, rangeToPrefixes } from "./address.js";
export {
  ENCRYPTION,
  type EncryptionAlgorithm,
  type EncryptionInfo,
  INTEGRITY,
  type IntegrityAlgorithm,
  type IntegrityInfo,
} from "./algorithms.js";
export { Reader, Writer } from "./cursor.js";
export { type EspOverhead, largestInner } from "./esp-size.js";
export { Fault, type FaultDetail, type FaultPolicy, faultTable, isFault } from "./fault.js";
export { isInside, isPrivate } from "./inside.js";
export { newPassphrase } from "./passphrase.js";
export { type Repeated, type RepeatLimits, Repeats } from "./repeats.js";
export type { Clock, Rng } from "./time.js";
