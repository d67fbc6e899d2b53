import type { ChildIntent, ConnectionIntent } from "@sallyport/intent";
import type { Topology } from "@sallyport/testkit";
import { connectionIntent, type TunnelCase } from "./lab.js";
import { byCertificate, libreswanConnection, type Settings } from "./libreswan-lab.js";

export const NS = { ours: "sp-llife-ours", theirs: "sp-llife-theirs" };

export interface Case {
  readonly tunnel: TunnelCase;
  readonly connection: ConnectionIntent;
  readonly settings: Settings;
}
interface Differences {
  readonly tunnel?: Partial<Pick<TunnelCase, "auth" | "esp">>;
  readonly connection?: Partial<ConnectionIntent>;
  readonly child?: Partial<ChildIntent>;
  readonly settings?: Settings;
}
let next = 1;
function make(id: string, differences: Differences = {}): Case {
  const n = next++;
  const certificate = differences.tunnel?.auth === "certificate";
  const tunnel: TunnelCase = {
    id,
    auth: "psk",
    psk: `a long secret of case ${n}`,
    ours: { name: "ours.test", address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
    theirs: {
      name: certificate ? "rsa.peer.test" : `theirs${n}.test`,
      address: `192.0.2.${10 + n}`,
      subnet: `10.2.${n}.0/24`,
      host: `10.2.${n}.1`,
    },
    ike: ["aes256gcm16-prfsha256-x25519"],
    esp: ["aes256gcm16"],
    ...differences.tunnel,
  };
  const plain = connectionIntent(tunnel);
  const connection: ConnectionIntent = {
    ...plain,
    children: plain.children.map((child) => ({ ...child, ...differences.child })),
    ...differences.connection,
  };
  return { tunnel, connection, settings: differences.settings ?? {} };
}

const half = (n: number, side: 1 | 2) => `10.${side}.${n}.0/28`;
const DPD = { dpddelay: "1s", dpdtimeout: "3s", "retransmit-timeout": "3s" };
export const C = {
  trap: make("trap", { child: { startAction: "trap" } }),
  trapped: make("trapped"),
  narrowed: make("narrowed", { settings: { narrowing: "yes", leftsubnet: half(3, 2) } }),
  narrows: make("narrows", { child: { remoteSubnets: [half(4, 2)] }, settings: { narrowing: "yes" } }),
  fragments: make("fragments", {
    tunnel: { auth: "certificate" },
    settings: { ...byCertificate("rsa"), rightca: "%any", fragmentation: "force" },
  }),
  several: make("several"),
  ports: make("ports", {
    child: { localSubnets: ["10.1.7.0/24[icmp]"], remoteSubnets: ["10.2.7.0/24[icmp]"] },
    settings: { leftprotoport: "icmp", rightprotoport: "icmp" },
  }),
  esn: make("esn", { tunnel: { esp: ["aes256gcm16-esn"] } }),
  ourBytes: make("our-bytes", { child: { rekeyBytes: 1_000_000 } }),
  theirBytes: make("their-bytes", { settings: { "ipsec-max-bytes": "2MiB" } }),
  crash: make("crash", { settings: { ...DPD, dpdaction: "clear" } }),
  clear: make("clear", {
    connection: { dpd: { intervalSeconds: 2 } },
    child: { dpdAction: "clear" },
    settings: { ...DPD, dpdaction: "clear" },
  }),
  restart: make("restart", {
    connection: { dpd: { intervalSeconds: 2 } },
    child: { dpdAction: "restart" },
    settings: { ...DPD, dpdaction: "restart" },
  }),
  hold: make("hold", {
    connection: { dpd: { intervalSeconds: 2 } },
    child: { dpdAction: "trap" },
    settings: { ...DPD, dpdaction: "hold" },
  }),
};
export const CASES = Object.values(C);
const SEVERAL_NET = { ours: "2001:db8:1::/64", theirs: "2001:db8:2::/64" };

/** Three CHILD SAs, one of them of IPv6 inside IPv4; libreswan has one selector in each. */
export function several() {
  const { tunnel, connection } = C.several;
  const [child] = connection.children;
  if (!child) throw new Error("the connection has no child");
  const others = [
    { id: "several-more", ours: "10.11.0.0/24", theirs: "10.12.0.0/24" },
    { id: "several-six", ...SEVERAL_NET },
  ];
  const children = others.map(({ id, ours, theirs }) => ({
    ...child,
    id,
    name: id,
    localSubnets: [ours],
    remoteSubnets: [theirs],
  }));
  const connections = others.map(({ id, ours, theirs }) => ({
    ...libreswanConnection(tunnel, { leftsubnet: theirs, rightsubnet: ours }),
    name: id,
  }));
  return { connection: { ...connection, children: [child, ...children] }, connections };
}

export const TOPOLOGY: Topology = {
  ipv6: true,
  namespaces: [
    {
      name: NS.ours,
      loopback: [...CASES.map((c) => `${c.tunnel.ours.host}/32`), "10.11.0.1/32", "2001:db8:1::1/128"],
      routes: [{ to: "10.2.0.0/16", via: "192.0.2.11" }],
    },
    {
      name: NS.theirs,
      loopback: [...CASES.map((c) => `${c.tunnel.theirs.host}/32`), "10.12.0.1/32", "2001:db8:2::1/128"],
      routes: [
        ...["10.1.0.0/16", "10.11.0.0/24"].map((to) => ({ to, via: "192.0.2.1" })),
        { to: SEVERAL_NET.ours, via: "2001:db8::1" },
      ],
    },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24", "2001:db8::1/64"] },
      {
        namespace: NS.theirs,
        device: "wan",
        addresses: [...CASES.map((c) => `${c.tunnel.theirs.address}/24`), "2001:db8::2/64"],
      },
    ],
  ],
};
