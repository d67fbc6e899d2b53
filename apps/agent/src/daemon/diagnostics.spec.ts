import { IpAddress } from "@sallyport/base";
import type { SaState } from "@sallyport/dataplane";
import type { EngineStatus } from "@sallyport/ike";
import { certificatesText, listSas, sasLines, traceText } from "./diagnostics.js";

const range = (text: string) => ({
  first: IpAddress.parse(text),
  last: IpAddress.parse(text),
  protocol: 0,
  firstPort: 0,
  lastPort: 65_535,
});

const child = { name: "net", spiIn: 0x1000, spiOut: 0x2000, suite: "AES_GCM_16_256/NO_ESN" };
const status = {
  peers: [
    {
      name: "vienna",
      sas: [{ suite: "", children: [{ ...child, local: [range("10.1.0.1")], remote: [range("10.2.0.1")] }] }],
    },
  ],
} as unknown as EngineStatus;

const state = (direction: "in" | "out", spi: number): SaState => ({
  direction,
  spi,
  source: IpAddress.parse("192.0.2.1"),
  destination: IpAddress.parse("192.0.2.2"),
  protocol: "esp",
  mode: "tunnel",
  reqid: 1,
  encapsulation: { sourcePort: 4500, destinationPort: 20_000 },
  bytes: 840n,
  packets: 10n,
  replayed: 1,
  integrityFailures: 2,
  outOfWindow: 0,
  replayWindow: 128,
  ageSeconds: 7,
  idleSeconds: 1,
  sequence: 10n,
});

it("lists the SAs of the engine with what the data plane counts, and no others", async () => {
  const sas = await listSas(status, {
    listSas: async () => [state("in", 0x1000), state("out", 0x2000), state("in", 9)],
  });
  expect(sas.map((sa) => `${sa.direction} ${sa.spi}`)).toEqual(["in 00001000", "out 00002000"]);
  expect([...sasLines(sas)].slice(0, 4)).toEqual([
    "net (vienna) in: SPI 00001000, 192.0.2.1:4500 → 192.0.2.2:20000, tunnel",
    "  AES_GCM_16_256/NO_ESN, keys masked, 10.1.0.1/32 === 10.2.0.1/32",
    "  10 packets, 840 octets, sequence 10, 1 replayed, 2 with a wrong ICV, 7 s old",
    "  window of 128 packets, 0 older than that",
  ]);
});

it("says how long a certificate is good", () => {
  const now = Date.UTC(2026, 10, 21);
  const one = {
    role: "own",
    subject: "CN=gw",
    issuer: "CN=ca",
    serial: "01",
    kind: "ed25519",
    fingerprint: "ab",
    notBefore: now,
    notAfter: now + 10 * 86_400_000,
  } as const;
  const gone = { ...one, role: "trust anchor", notAfter: now - 86_400_000, revocation: "strict" } as const;
  expect(certificatesText([one, gone], now)).toBe(
    [
      "own: CN=gw",
      "  issuer CN=ca, serial 01, ed25519",
      "  valid 2026-11-21 to 2026-12-01, 10 days left",
      "  SHA-256 ab",
      "trust anchor: CN=gw",
      "  issuer CN=ca, serial 01, ed25519",
      "  valid 2026-11-21 to 2026-11-20, expired 1 days ago",
      "  SHA-256 ab",
      "  revocation: strict",
    ].join("\n"),
  );
});

it("writes a traced message as lines", () => {
  const endpoint = (address: string) => ({ address: IpAddress.parse(address), port: 500 });
  const lines = traceText({
    do: "trace",
    at: 12_345,
    peer: "p",
    direction: "in",
    local: endpoint("192.0.2.1"),
    remote: endpoint("192.0.2.2"),
    lines: ["INFORMATIONAL request 3", "D ESP 00001000"],
  });
  expect(lines).toEqual(["12.345 192.0.2.1:500 ← 192.0.2.2:500 INFORMATIONAL request 3", "    D ESP 00001000"]);
});
