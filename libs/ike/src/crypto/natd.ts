import { createHash } from "node:crypto";
import type { Endpoint } from "@sallyport/base";
import { u64 } from "./bytes.js";

/** Data of NAT_DETECTION_SOURCE_IP and _DESTINATION_IP: SHA-1(SPIi | SPIr | address | port), RFC 7296 §2.23. */
export function natDetectionHash(initiatorSpi: bigint, responderSpi: bigint, endpoint: Endpoint): Uint8Array {
  const { address, port } = endpoint;
  return createHash("sha1")
    .update(u64(initiatorSpi, responderSpi))
    .update(address.bytes)
    .update(Uint8Array.of(port >> 8, port & 0xff))
    .digest();
}
