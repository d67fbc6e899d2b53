import { type Payload, PROTOCOL } from "@sallyport/ike";
import { ESP_OFFER, peerOf } from "@sallyport/testkit";

/** Of `peerOf`. */
export const SECRET = new TextEncoder().encode("a secret of some length");

export function spiOctets(spi: number): Uint8Array {
  return Uint8Array.of(spi >>> 24, (spi >>> 16) & 255, (spi >>> 8) & 255, spi & 255);
}

/** The payloads with which `a` of the simulation asks for its CHILD SA. */
export function childRequest(spi: number): Payload[] {
  const [config] = peerOf("a").children;
  const selectors = (ranges: readonly { readonly first: unknown }[] | undefined) =>
    (ranges as NonNullable<typeof config>["local"]).map(
      (r) => ({ kind: "range", protocol: 0, startPort: 0, endPort: 65_535, start: r.first, end: r.last }) as const,
    );
  return [
    { kind: "SA", proposals: [{ number: 1, protocol: PROTOCOL.ESP, spi: spiOctets(spi), transforms: ESP_OFFER }] },
    { kind: "TSi", selectors: selectors(config?.local) },
    { kind: "TSr", selectors: selectors(config?.remote) },
  ];
}
