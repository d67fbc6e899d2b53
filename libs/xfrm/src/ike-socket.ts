import { SOL, type UdpSocket } from "@sallyport/linux-io";
import { UDP_ENCAP, UDP_ENCAP_ESPINUDP } from "./wire/constants.js";
import { encodeBypass } from "./wire/policy.js";

/** linux/in.h, linux/in6.h */
const IP_XFRM_POLICY = 17;
const IPV6_XFRM_POLICY = 35;

/**
 * Lets an IKE socket's packets past all policies, inwards and outwards (CORE-11). With `encapsulation` (the socket on port
 * 4500) the kernel takes ESP out of the socket's datagrams; IKE messages, with the non-ESP marker still in front, and nothing
 * else reach the reader (RFC 3948 §2.2, §2.3).
 */
export function prepareIkeSocket(socket: UdpSocket, options: { encapsulation?: boolean } = {}): void {
  const { family } = socket.local.address;
  const [level, name] = family === 4 ? [SOL.ip, IP_XFRM_POLICY] : [SOL.ipv6, IPV6_XFRM_POLICY];
  for (const direction of ["in", "out"] as const) {
    socket.setOption(level, name, encodeBypass(direction, family), `the IPsec bypass (${direction})`);
  }
  if (options.encapsulation) socket.setOption(SOL.udp, UDP_ENCAP, UDP_ENCAP_ESPINUDP, "UDP_ENCAP");
}
