import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import type { Endpoint } from "@sallyport/base";

const SPIS = 16;
const PORT = 2;
/** Room for an IPv6 address; a handshake makes four of these hashes. */
const room = new Uint8Array(SPIS + 16 + PORT);
const view = new DataView(room.buffer);

/** Data of NAT_DETECTION_SOURCE_IP and _DESTINATION_IP: SHA-1(SPIi | SPIr | address | port), RFC 7296 §2.23. */
export function natDetectionHash(initiatorSpi: bigint, responderSpi: bigint, endpoint: Endpoint): Uint8Array {
  const address = endpoint.address.bytes;
  const end = SPIS + address.length;
  view.setBigUint64(0, initiatorSpi);
  view.setBigUint64(8, responderSpi);
  room.set(address, SPIS);
  view.setUint16(end, endpoint.port);
  return Buffer.from(hash("sha1", room.subarray(0, end + PORT), "binary"), "binary");
}
