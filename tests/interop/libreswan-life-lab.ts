import { byCertificate, libreswanCable, libreswanCase, libreswanConnection } from "./libreswan-lab.js";

export const NS = { ours: "sp-llife-ours", theirs: "sp-llife-theirs" };

const half = (n: number, side: 1 | 2) => `10.${side}.${n}.0/28`;
/** Long enough that a busy agent is not taken for dead. */
const DPD = { dpddelay: "1s", dpdtimeout: "8s", "retransmit-timeout": "8s" };
export const C = {
  trap: libreswanCase(1, "trap", { child: { startAction: "trap" } }),
  trapped: libreswanCase(2, "trapped"),
  narrowed: libreswanCase(3, "narrowed", { settings: { narrowing: "yes", leftsubnet: half(3, 2) } }),
  narrows: libreswanCase(4, "narrows", { child: { remoteSubnets: [half(4, 2)] }, settings: { narrowing: "yes" } }),
  fragments: libreswanCase(5, "fragments", {
    tunnel: { auth: "certificate", theirs: { ...libreswanCase(5, "").tunnel.theirs, name: "rsa.peer.test" } },
    settings: { ...byCertificate("rsa"), rightca: "%any", fragmentation: "force" },
  }),
  several: libreswanCase(6, "several"),
  ports: libreswanCase(7, "ports", {
    child: { localSubnets: ["10.1.7.0/24[icmp]"], remoteSubnets: ["10.2.7.0/24[icmp]"] },
    settings: { leftprotoport: "icmp", rightprotoport: "icmp" },
  }),
  esn: libreswanCase(8, "esn", { tunnel: { esp: ["aes256gcm16-esn"] } }),
  ourBytes: libreswanCase(9, "our-bytes", { child: { rekeyBytes: 1_000_000 } }),
  theirBytes: libreswanCase(10, "their-bytes", { settings: { "ipsec-max-bytes": "2MiB" } }),
  crash: libreswanCase(11, "crash", { settings: { ...DPD, dpdaction: "clear" } }),
  clear: libreswanCase(12, "clear", {
    connection: { dpd: { intervalSeconds: 2 } },
    child: { dpdAction: "clear" },
    settings: { ...DPD, dpdaction: "clear" },
  }),
  restart: libreswanCase(13, "restart", {
    connection: { dpd: { intervalSeconds: 2 } },
    child: { dpdAction: "restart" },
    settings: { ...DPD, dpdaction: "restart" },
  }),
  hold: libreswanCase(14, "hold", {
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

export const TOPOLOGY = libreswanCable(NS, CASES, {
  ipv6: true,
  cable: { ours: ["2001:db8::1/64"], theirs: ["2001:db8::2/64"] },
  loopback: { ours: ["10.11.0.1/32", "2001:db8:1::1/128"], theirs: ["10.12.0.1/32", "2001:db8:2::1/128"] },
  routes: {
    ours: [{ to: "10.2.0.0/16", via: "192.0.2.11" }],
    theirs: [
      ...["10.1.0.0/16", "10.11.0.0/24"].map((to) => ({ to, via: "192.0.2.1" })),
      { to: SEVERAL_NET.ours, via: "2001:db8::1" },
    ],
  },
});
