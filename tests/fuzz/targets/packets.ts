import { createEsp } from "@sallyport/esp";
import { admitCongestion } from "../../../libs/userspace/src/ecn.ts";
import { packetTooBig } from "../../../libs/userspace/src/icmp.ts";
import { InnerPacket } from "../../../libs/userspace/src/packet.ts";
import { FuzzInput, holds } from "./input.ts";

const key = new Uint8Array(36).fill(7);
const esp = createEsp({ spi: 0x1001, encryption: { algorithm: "aes-gcm-16", key }, esn: false });
const cbc = createEsp({
  spi: 0x1001,
  encryption: { algorithm: "aes-cbc", key: key.slice(0, 16) },
  integrity: { algorithm: "hmac-sha2-256-128", key: key.slice(0, 32) },
  esn: true,
});

/** ESP that came from anybody, ESP whose sender has the keys, and the packet inside, as the userspace data plane reads it. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const transform = input.u8() & 1 ? esp : cbc;
  const mtu = input.u16();
  const octets = input.rest();
  holds(transform.open(Uint8Array.from(octets), 0) < 0, () => "opened a packet that nobody sealed");
  const sealed = new Uint8Array(transform.sealedBytes(octets.length));
  transform.seal(sealed, 0, octets, 4, 0, 1);
  const length = transform.open(sealed, 0);
  holds(length === octets.length, () => `sealed ${octets.length}, opened ${length}`);
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const packet = new InnerPacket();
  if (!packet.read(view, 0, octets.length)) return;
  packetTooBig(packet, octets, 1 + mtu);
  admitCongestion(view, 0, packet.family as 4 | 6, mtu & 255);
}
