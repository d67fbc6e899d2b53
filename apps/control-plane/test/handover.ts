import type { Api } from "./control-plane.js";
import { CREATE_GROUP, person, pool } from "./people.js";
import { CREATE_PROFILE } from "./pki.js";

const CREATE_SERVICE = "mutation ($input: CreateRemoteAccessInput!) { createRemoteAccess(input: $input) { id } }";
export const CREATE = `mutation ($input: CreateHandoverInput!) {
  createHandover(input: $input) {
    link qrCode passphrase unavailable { device code message }
    handover { id state devices certificateId expiresAt roadWarrior { username } }
  }
}`;

export interface Created {
  readonly link: string;
  readonly qrCode: string;
  readonly passphrase: string | null;
  readonly unavailable: readonly { readonly device: string; readonly code: string; readonly message: string }[];
  readonly handover: {
    readonly id: string;
    readonly state: string;
    readonly devices: readonly string[];
    readonly certificateId: string | null;
  };
}

export async function handoverOf(cp: Api, input: object): Promise<Created> {
  return (await cp.get<{ createHandover: Created }>(CREATE, { input })).createHandover;
}

/** Remote access by all methods at a gateway, for Ann alone, and a certificate profile that the gateway's root stands above. */
export async function serveAnn(cp: Api, gatewayId: string, name = "Ann Example") {
  const { createRoadWarriorGroup } = await cp.get<{ createRoadWarriorGroup: { id: string } }>(CREATE_GROUP, {
    name: "Staff",
  });
  const groupId = createRoadWarriorGroup.id;
  const ann = await person(cp, "ann@example.org", { name, groupIds: [groupId] });
  const { certificateAuthorities } = await cp.get<{
    certificateAuthorities: { edges: { node: { id: string; level: string; purpose: string } }[] };
  }>("{ certificateAuthorities { edges { node { id level purpose } } } }");
  const issuing = certificateAuthorities.edges.find(
    ({ node }) => node.level === "ISSUING" && node.purpose === "GATEWAY_IDENTITY",
  );
  const { createCertificateProfile } = await cp.get<{ createCertificateProfile: { id: string } }>(CREATE_PROFILE, {
    input: { name: "Staff", kind: "ROAD_WARRIOR", authorityId: issuing?.node.id, emailHosts: ["example.org"] },
  });
  const { createRemoteAccess } = await cp.get<{ createRemoteAccess: { id: string } }>(CREATE_SERVICE, {
    input: {
      ...{ name: "Staff", gatewayIds: [gatewayId], poolIds: [await pool(cp, "Staff", ["10.9.0.0/24"])] },
      ...{ methods: ["CERTIFICATE", "EAP_TLS", "EAP_MSCHAPV2"], networks: ["10.1.0.0/16"], dns: ["10.1.0.53"] },
      groups: [{ groupId }],
    },
  });
  return { service: createRemoteAccess.id, ann, profile: createCertificateProfile.id };
}

/** A browser that somebody opened a link with. */
export class Visitor {
  cookie = "";

  constructor(
    private readonly link: string,
    private readonly userAgent = "",
  ) {}

  /** The page, or another path of the same server. */
  async get(path?: string) {
    const response = await fetch(path ? new URL(path, this.link) : this.link, { headers: this.#headers() });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  async file(path: string): Promise<Buffer> {
    const response = await fetch(new URL(path, this.link), { headers: this.#headers() });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return Buffer.from(await response.arrayBuffer());
  }

  async choose(device: string) {
    const response = await fetch(this.link, {
      method: "POST",
      redirect: "manual",
      headers: this.#headers(),
      body: new URLSearchParams({ device }),
    });
    this.cookie = response.headers.get("set-cookie") ?? this.cookie;
    return { status: response.status, location: response.headers.get("location"), text: await response.text() };
  }

  #headers(): Record<string, string> {
    return { "user-agent": this.userAgent, ...(this.cookie ? { cookie: this.cookie.replace(/;.*/, "") } : {}) };
  }
}
