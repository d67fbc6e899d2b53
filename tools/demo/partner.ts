import { type PeerConnection, type Strongswan, startStrongswan } from "@sallyport/testkit";
import { HEADQUARTERS, NS, PARTNER } from "./world.ts";

/** What the two operators agreed on by telephone. */
export const AGREED = {
  identity: "partner.example",
  ikeProposals: ["aes256-sha256-ecp256"],
  espProposals: ["aes256gcm16-ecp256"],
};

/** How the partner answers headquarters. */
export function partnerConnection(headquartersIdentity: string, proposals = AGREED.ikeProposals): PeerConnection {
  return {
    name: "headquarters",
    localAddress: PARTNER.address,
    remoteAddress: HEADQUARTERS.address,
    proposals,
    local: { auth: "psk", id: AGREED.identity },
    remote: { auth: "psk", id: headquartersIdentity },
    children: [
      {
        name: "network",
        localTs: [PARTNER.subnet],
        remoteTs: [HEADQUARTERS.subnet],
        proposals: AGREED.espProposals,
      },
    ],
  };
}

/** The partner's gateway: Debian's strongSwan, which answers headquarters. */
export function startPartner(options: {
  readonly dataPlane: "userspace" | "kernel";
  readonly home: string;
  readonly headquartersIdentity: string;
  readonly preSharedKey: string;
}): Promise<Strongswan> {
  return startStrongswan({
    namespace: NS.partner,
    parent: options.home,
    dataPlane: options.dataPlane === "kernel" ? "kernel-netlink" : "kernel-libipsec",
    secrets: [{ owners: [options.headquartersIdentity, AGREED.identity], secret: options.preSharedKey }],
    connections: [partnerConnection(options.headquartersIdentity)],
  });
}
