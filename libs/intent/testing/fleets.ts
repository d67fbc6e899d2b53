import fc from "fast-check";
import {
  type ExternalPeerModel,
  type FleetModel,
  type GatewayModel,
  gatewayFqdn,
  type NetworkModel,
  type ProfileModel,
  Secret,
  type SiteModel,
} from "../src/index.js";

/** Self-signed P-256 certificates, made with `openssl req -x509`; their keys are gone. */
export const ROOT_DER =
  "MIIBqDCCAU2gAwIBAgIULTpI3D8Ih0krwhI9NZ6GPFzCIVcwCgYIKoZIzj0EAwIwKDEXMBUGA1UECgwOU2FsbHlwb3J0IHRlc3QxDTALBgNVBAMMBHJvb3QwIBcNMjYxMTIxMTczNTE4WhgPMjEyNjEwMjgxNzM1MThaMCgxFzAVBgNVBAoMDlNhbGx5cG9ydCB0ZXN0MQ0wCwYDVQQDDARyb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7mfOyL2XZ1kRRvrRbnsbPIl8GSGkwCym8LPywH8A8akxIT3Dk5OdSaOPpKUJGN7Oyi/jxVIjlbEFNbO3HFBVmaNTMFEwHQYDVR0OBBYEFNNATLecb2GbbuohyYplckPvmvc0MB8GA1UdIwQYMBaAFNNATLecb2GbbuohyYplckPvmvc0MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAPMOavLiy7nXt/Wbu3obpUVjasKrHb7uGiIH3g255gFtAiEA+quBBmXIN4QQJxrTAiRrTAWhEW2nEfIca3sIDxCZfmA=";
export const PARTNER_DER =
  "MIIBrTCCAVOgAwIBAgIUWynQrW06GslowbAieW1embuSDcEwCgYIKoZIzj0EAwIwKzEXMBUGA1UECgwOU2FsbHlwb3J0IHRlc3QxEDAOBgNVBAMMB3BhcnRuZXIwIBcNMjYxMTIxMTczNTE4WhgPMjEyNjEwMjgxNzM1MThaMCsxFzAVBgNVBAoMDlNhbGx5cG9ydCB0ZXN0MRAwDgYDVQQDDAdwYXJ0bmVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECU2ls+bRfFn5LavMe5JJhEnWD2L6NPCFuY3vCe6A5a5m0DcDfLUmNb7pzsRL6jNx6I+7u00xK/up8nioCn+eyaNTMFEwHQYDVR0OBBYEFLQGYXeLpcvbvkIhZUnh4ACpFy3eMB8GA1UdIwQYMBaAFLQGYXeLpcvbvkIhZUnh4ACpFy3eMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhALBq16xnz0L/DZdTtAso+9MUzDXTMTUdkG5XN165rIaAAiAjYwEavn3cwTlhuVGBjClPy7K3XwGEtMSNLM7NARHIjA==";

export const CBC_PROFILE: ProfileModel = {
  id: "cbc",
  name: "CBC",
  ikeProposals: ["aes256-sha256-ecp256"],
  espProposals: ["aes128-sha256"],
  lifetimes: { ikeRekeySeconds: 7_200, childRekeySeconds: 1_800, childRekeyBytes: 1_000_000_000 },
  dpd: { intervalSeconds: 10 },
};

const slugs = ["hq", "branch", "depot", "lab", "mill", "port", "yard"];

export function site(i: number, ...subnets: string[]): SiteModel {
  return {
    id: `site-${slugs[i]}`,
    name: `${slugs[i]}`,
    subnets: subnets.length > 0 ? subnets : [`10.${i + 1}.0.0/16`],
  };
}

/** Gateway of site `i`; reachable at 203.0.113.(i + 1) unless told otherwise. */
export function gateway(i: number, host: string | undefined = `203.0.113.${i + 1}`): GatewayModel {
  return {
    id: `gw-${slugs[i]}`,
    name: `${slugs[i]}`,
    siteId: `site-${slugs[i]}`,
    fqdn: gatewayFqdn("acme", `${slugs[i]}`),
    host,
  };
}

export const PARTNER: ExternalPeerModel = {
  id: "partner",
  name: "Partner",
  gatewayId: "gw-hq",
  host: "198.51.100.7",
  role: "both",
  remoteIdentity: { type: "address", value: "198.51.100.7" },
  auth: { method: "psk", keyId: "psk-partner" },
  remoteSubnets: ["172.16.5.0/24"],
};

/** Headquarters (reachable), a branch behind a NAT, and what `parts` says. */
export function fleet(parts: Partial<FleetModel> = {}): FleetModel {
  return {
    organization: { id: "org", slug: "acme", name: "Acme" },
    sites: [site(0), site(1)],
    gateways: [gateway(0), { ...gateway(1), host: undefined }],
    networks: [{ id: "net", name: "Branches", hubs: ["gw-hq"], spokes: ["gw-branch"] }],
    externalPeers: [],
    profiles: [CBC_PROFILE],
    internalAnchorIds: ["root"],
    trustAnchors: [
      { id: "root", name: "Acme root", der: ROOT_DER },
      { id: "partner-root", name: "Partner root", der: PARTNER_DER },
    ],
    preSharedKeys: [{ id: "psk-partner", secret: new Secret("correct horse battery staple") }],
    ...parts,
  };
}

/** Fleets without a fault: one or two hubs, spokes behind NAT or not, two families, an external peer or two. */
export const fleets: fc.Arbitrary<FleetModel> = fc
  .record({
    hubs: fc.integer({ min: 1, max: 2 }),
    spokes: fc.array(
      fc.record({ behindNat: fc.boolean(), v4: fc.integer({ min: 0, max: 2 }), v6: fc.integer({ min: 0, max: 1 }) }),
      { minLength: 1, maxLength: 4 },
    ),
    hubV6: fc.boolean(),
    natHub: fc.boolean(),
    transit: fc.option(fc.boolean(), { nil: undefined }),
    profileId: fc.constantFrom(undefined, "cbc"),
    externals: fc.array(
      fc.record({
        psk: fc.boolean(),
        role: fc.constantFrom("initiator" as const, "responder" as const, "both" as const),
        host: fc.boolean(),
        subnets: fc.integer({ min: 1, max: 3 }),
      }),
      { maxLength: 2 },
    ),
  })
  .map(({ hubs, spokes, hubV6, natHub, transit, profileId, externals }) => {
    const all = [...Array.from({ length: hubs }, () => ({ behindNat: false, v4: 1, v6: hubV6 ? 1 : 0 })), ...spokes];
    const sites = all.map((s, i) =>
      site(
        i,
        ...Array.from({ length: s.v4 || (s.v6 ? 0 : 1) }, (_, j) => `10.${i + 1}.${j}.0/24`),
        ...Array.from({ length: s.v6 }, (_, j) => `fd00:${i + 1}:${j}::/64`),
      ),
    );
    const gateways = all.map((s, i) => (s.behindNat ? { ...gateway(i), host: undefined } : gateway(i)));
    // A hub may sit behind a NAT when everyone else can be called.
    if (natHub && spokes.every((s) => !s.behindNat)) gateways[0] = { ...gateway(0), host: undefined };
    const ids = gateways.map((g) => g.id);
    const network: NetworkModel = {
      id: "net",
      name: "Net",
      hubs: ids.slice(0, hubs),
      spokes: ids.slice(hubs),
      transit,
      profileId,
    };
    return fleet({
      sites,
      gateways,
      networks: [network],
      externalPeers: externals.map(
        ({ psk, role, host, subnets }, i): ExternalPeerModel => ({
          id: `ext-${i}`,
          name: `External ${i}`,
          gatewayId: "gw-hq",
          host: host || role !== "responder" ? `198.51.100.${i + 1}` : undefined,
          role,
          remoteIdentity: { type: "fqdn", value: `peer${i}.example.net` },
          auth: psk
            ? { method: "psk", keyId: "psk-partner" }
            : { method: "certificate", trustAnchorIds: ["partner-root"] },
          remoteSubnets: Array.from({ length: subnets }, (_, j) => `172.16.${16 * i + j}.0/24`),
        }),
      ),
    });
  });

/** The same fleet with every list that has no order of its own shuffled by `order`. */
export function shuffled(model: FleetModel, order: number): FleetModel {
  let state = order;
  const shuffle = <T>(list: readonly T[]): T[] => {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      const j = (state >>> 8) % (i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  };
  return {
    ...model,
    sites: shuffle(model.sites).map((s) => ({ ...s, subnets: shuffle(s.subnets) })),
    gateways: shuffle(model.gateways),
    networks: shuffle(model.networks).map((n) => ({ ...n, spokes: shuffle(n.spokes) })),
    externalPeers: shuffle(model.externalPeers).map((p) => ({ ...p, remoteSubnets: shuffle(p.remoteSubnets) })),
    profiles: shuffle(model.profiles),
    trustAnchors: shuffle(model.trustAnchors),
    preSharedKeys: shuffle(model.preSharedKeys),
  };
}
