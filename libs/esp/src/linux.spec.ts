import { readFileSync } from "node:fs";
import { type EncryptionAlgorithm, type IntegrityAlgorithm, IpAddress } from "@sallyport/base";
import { createEsp, OpenRefusal, ReplayWindow } from "./index.js";

interface Recorded {
  name: string;
  spi: number;
  encryption: { algorithm: EncryptionAlgorithm; key: string };
  integrity?: { algorithm: IntegrityAlgorithm; key: string };
  esn: boolean;
  high: number;
  packet: string;
}

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const recorded: { source: string; from: string; to: string; datagram: string; packets: Recorded[] } = JSON.parse(
  readFileSync("libs/esp/vectors/linux.json", "utf8"),
);

describe(recorded.source, () => {
  it.each(recorded.packets)("$name", (vector) => {
    const { spi, esn, high, encryption, integrity } = vector;
    const esp = createEsp({
      spi,
      esn,
      encryption: { ...encryption, key: hex(encryption.key) },
      integrity: integrity && { ...integrity, key: hex(integrity.key) },
    });
    const packet = hex(vector.packet);
    const innerBytes = 20 + 8 + recorded.datagram.length;
    expect(esp.open(Uint8Array.from(packet), high + 1)).toBe(esn ? OpenRefusal.integrity : innerBytes);
    const length = esp.open(packet, high);
    const inner = packet.subarray(8 + esp.ivBytes, 8 + esp.ivBytes + length);
    expect(esp.nextHeader).toBe(4);
    expect(length).toBe(innerBytes);
    expect(IpAddress.from(inner.subarray(12, 16)).toString()).toBe(recorded.from);
    expect(IpAddress.from(inner.subarray(16, 20)).toString()).toBe(recorded.to);
    expect(Buffer.from(inner.subarray(28)).toString()).toBe(recorded.datagram);
    // What the kernel sent is as long as what we would send.
    expect(esp.sealedBytes(length)).toBe(packet.length);
    const window = new ReplayWindow(64, esn);
    window.resume(BigInt(high) << 32n);
    expect(window.high(new DataView(packet.buffer).getUint32(4))).toBe(high);
  });

  it("holds every encryption and every integrity algorithm", () => {
    const names = recorded.packets.flatMap(({ encryption, integrity }) => [encryption.algorithm, integrity?.algorithm]);
    expect(new Set(names.filter(Boolean)).size).toBe(15);
  });
});
