import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import type { Endpoint } from "@sallyport/base";
import { concat, u64 } from "./bytes.js";

/** Data of NAT_DETECTION_SOURCE_IP and _DESTINATION_IP: SHA-1(SPIi | SPIr | address | port), RFC 7296 §2.23. */
export function natDetectionHash(initiatorSpi: bigint, responderSpi: bigint, endpoint: Endpoint): Uint8Array {
  const { address, port } = endpoint;
  const data = concat(u64(initiatorSpi, responderSpi), address.bytes, Uint8Array.of(port >> 8, port & 0xff));
  return Buffer.from(hash("sha1", data, "binary"), "binary");
}
