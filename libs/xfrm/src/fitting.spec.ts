import { IpAddress } from "@sallyport/base";
import type { SaSpec } from "@sallyport/dataplane";
import { Fitting } from "./fitting.js";

const FAR = IpAddress.parse("192.0.2.2");
const ELSEWHERE = IpAddress.parse("192.0.2.3");

const sa = (more: Partial<SaSpec> = {}): SaSpec => ({
  direction: "out",
  protocol: "esp",
  mode: "tunnel",
  spi: 0x1001,
  source: IpAddress.parse("192.0.2.1"),
  destination: FAR,
  reqid: 7,
  encryption: { algorithm: "aes-gcm-16", key: new Uint8Array(36) },
  esn: false,
  replayWindow: 0,
  lifetime: {},
  selectors: [],
  ...more,
});

function bench(linkMtu = 1500) {
  const said: string[] = [];
  const say = (what: string) => async (value?: unknown) => {
    said.push(value === undefined ? what : `${what} ${value}`);
  };
  const fitting = new Fitting(
    {
      pathMtu: async () => linkMtu,
      fits: async (via, mtu) => void said.push(`${via} takes ${mtu}`),
      forget: (via) => void said.push(`forget ${via}`),
    },
    { start: say("clamp"), spare: say("spare"), unspare: say("unspare") },
  );
  return { fitting, said };
}

it.each([
  // Outer header 20, ESP 8, IV 8, ICV 16; a text of whole words, less its trailer of 2.
  ["AES-GCM", {}, 1446],
  ["AES-GCM in UDP", { encapsulation: { sourcePort: 4500, destinationPort: 4500 } }, 1438],
  [
    "AES-CBC with HMAC-SHA-256, in whole blocks",
    {
      encryption: { algorithm: "aes-cbc", key: new Uint8Array(32) },
      integrity: { algorithm: "hmac-sha2-256-128", key: new Uint8Array(32) },
    },
    1438,
  ],
  ["a path that is known", { pathMtu: 1280 }, 1226],
] as const)("%s: routes are told what fits", async (_, more, mtu) => {
  const { fitting, said } = bench();
  await fitting.added(sa(more));
  expect(said).toEqual(["clamp", `192.0.2.2 takes ${mtu}`]);
});

it("is told again where the SA goes, and forgets what goes", async () => {
  const { fitting, said } = bench();
  await fitting.added(sa());
  await fitting.moved(sa(), { destination: ELSEWHERE, encapsulation: { sourcePort: 4500, destinationPort: 4500 } });
  fitting.removed({ ...sa(), destination: ELSEWHERE });
  fitting.removed(sa());
  expect(said).toEqual([
    "clamp",
    "192.0.2.2 takes 1446",
    "forget 192.0.2.2",
    "192.0.2.3 takes 1438",
    "forget 192.0.2.3",
  ]);
});

it("spares those that are to be left alone, and says nothing of what is no outbound tunnel", async () => {
  const { fitting, said } = bench(Number.POSITIVE_INFINITY);
  await fitting.added(sa({ clampMss: false }));
  await fitting.added(sa({ direction: "in", spi: 0x1002 }));
  await fitting.added(sa({ mode: "transport", spi: 0x1003 }));
  fitting.removed(sa());
  expect(said).toEqual(["spare 7", "192.0.2.2 takes undefined", "forget 192.0.2.2", "unspare 7"]);
});
