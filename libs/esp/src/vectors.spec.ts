import { readFileSync } from "node:fs";
import type { EncryptionAlgorithm, IntegrityAlgorithm } from "@sallyport/base";
import { createEsp } from "./index.js";
import { createMac } from "./mac.js";

interface Vectors {
  packets: {
    name: string;
    algorithm: EncryptionAlgorithm;
    key: string;
    esn: boolean;
    high: number;
    packet: string;
    payload: string;
    nextHeader: number;
  }[];
  macs: { name: string; algorithm: IntegrityAlgorithm; key: string; data: string; mac: string }[];
}

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const vectors: Vectors = JSON.parse(readFileSync("libs/esp/vectors/published.json", "utf8"));

describe("published ESP packets", () => {
  it.each(vectors.packets)("$name opens to its payload", (v) => {
    const packet = hex(v.packet);
    const spi = new DataView(packet.buffer).getUint32(0);
    const esp = createEsp({ spi, encryption: { algorithm: v.algorithm, key: hex(v.key) }, esn: v.esn });
    const length = esp.open(packet, v.high);
    expect(length).toBe(v.payload.length / 2);
    expect(esp.nextHeader).toBe(v.nextHeader);
    expect(packet.subarray(16, 16 + length)).toEqual(hex(v.payload));
  });

  it.each(vectors.packets.filter((v) => v.esn))("$name is refused under another upper half", (v) => {
    const packet = hex(v.packet);
    const spi = new DataView(packet.buffer).getUint32(0);
    const esp = createEsp({ spi, encryption: { algorithm: v.algorithm, key: hex(v.key) }, esn: true });
    expect(esp.open(packet, (v.high ^ 1) >>> 0)).toBe(-2);
    expect(packet).toEqual(hex(v.packet));
  });
});

describe("published MACs", () => {
  it.each(vectors.macs)("$name", (v) => {
    const mac = createMac(v.algorithm, hex(v.key));
    // Twice: the second one starts from the chain that the first one left behind.
    for (let round = 0; round < 2; round++) {
      expect(Buffer.from(mac(hex(v.data), new Uint8Array(0))).toString("hex")).toBe(v.mac);
    }
    const data = hex(v.data);
    const cut = Math.min(4, data.length);
    const split = mac(data.subarray(0, data.length - cut), data.subarray(data.length - cut));
    expect(Buffer.from(split).toString("hex")).toBe(v.mac);
  });
});
