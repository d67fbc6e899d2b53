// One end of a tunnel with static keys: `node gateway.ts '<JSON of GatewaySettings>'`. Says "ready" when it carries packets.
import { createHash } from "node:crypto";
import { IpAddress, Prefix } from "@sallyport/base";
import type { SaSpec } from "@sallyport/dataplane";
import { openEspSocket, UserspaceDataPlane } from "@sallyport/userspace";

export interface GatewaySettings {
  readonly ours: { readonly outer: string; readonly inner: string; readonly spi: number };
  readonly theirs: { readonly outer: string; readonly inner: string; readonly spi: number };
  readonly tunName: string;
  /** Cryptography in JavaScript only. */
  readonly portable?: boolean;
}

const settings: GatewaySettings = JSON.parse(process.argv[2] ?? "{}");
const PORT = 4500;
const REQID = 1;

const end = ({ outer, inner, spi }: GatewaySettings["ours"]) => ({
  outer: IpAddress.parse(outer),
  inner: Prefix.parse(inner),
  spi,
});
const ours = end(settings.ours);
const theirs = end(settings.theirs);

function sa(direction: "in" | "out"): SaSpec {
  const [from, to] = direction === "in" ? [theirs, ours] : [ours, theirs];
  return {
    direction,
    protocol: "esp",
    mode: "tunnel",
    spi: to.spi,
    source: from.outer,
    destination: to.outer,
    reqid: REQID,
    // AES-GCM-256: 32 octets of key and 4 of salt, the same at both ends.
    encryption: {
      algorithm: "aes-gcm-16",
      key: createHash("sha512").update(`static key for ${to.spi}`).digest().subarray(0, 36),
    },
    esn: false,
    replayWindow: 1024,
    encapsulation: { sourcePort: PORT, destinationPort: PORT },
    lifetime: {},
    selectors: [{ source: from.inner, destination: to.inner, protocol: 0 }],
  };
}

const plane = await UserspaceDataPlane.create({
  tunName: settings.tunName,
  sockets: [openEspSocket({ address: IpAddress.any(4), port: PORT })],
  onIke: () => undefined,
  portable: settings.portable ?? false,
  clock: { now: () => performance.now(), wall: () => Date.now() },
});
await plane.installSa(sa("in"));
await plane.installSa(sa("out"));
await plane.installPolicy({
  direction: "out",
  selector: { source: ours.inner, destination: theirs.inner, protocol: 0 },
  action: "encrypt",
  priority: 1000,
  template: {
    source: ours.outer,
    destination: theirs.outer,
    protocol: "esp",
    mode: "tunnel",
    reqid: REQID,
    level: "require",
  },
});
await plane.installRoute({ destination: theirs.inner, source: ours.inner.address, via: theirs.outer });

process.once("SIGTERM", async () => {
  await plane.close({ keep: false });
  process.exit(0);
});
setInterval(() => undefined, 1 << 30);
console.log("ready");
