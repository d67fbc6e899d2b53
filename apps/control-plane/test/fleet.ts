import type { Api } from "./control-plane.js";

export interface MadeSite {
  readonly site: { readonly id: string; readonly name: string };
  readonly gateway: { readonly id: string; readonly name: string; readonly identity: string };
  readonly enrolment: { readonly command: string; readonly token: string; readonly expiresAt: string };
}

const MADE = "site { id name } gateway { id name identity } enrolment { command token expiresAt }";
export const CREATE_SITE = `mutation ($input: CreateSiteInput!) { createSite(input: $input) { ${MADE} } }`;
export const ONBOARD_SITE = `mutation ($input: OnboardSiteInput!) { onboardSite(input: $input) { ${MADE} network { id } } }`;
export const CREATE_NETWORK = "mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { id } }";
export const ADD_PEER = "mutation ($input: AddExternalPeerInput!) { addExternalPeer(input: $input) { id name } }";

export interface Fleet {
  readonly hub: MadeSite;
  readonly networkId: string;
  readonly branch: MadeSite;
}

/** Headquarters with a public address, a network, and one branch behind a NAT. */
export async function describeFleet(cp: Api): Promise<Fleet> {
  const { createSite: hub } = await cp.get<{ createSite: MadeSite }>(CREATE_SITE, {
    input: { name: "Headquarters", subnets: ["10.1.0.0/16"], gateway: { host: "198.51.100.1" } },
  });
  const { createNetwork } = await cp.get<{ createNetwork: { id: string } }>(CREATE_NETWORK, {
    input: { name: "Offices", hubGatewayIds: [hub.gateway.id] },
  });
  const { onboardSite: branch } = await cp.get<{ onboardSite: MadeSite }>(ONBOARD_SITE, {
    input: { name: "Vienna", subnets: ["10.2.0.0/16"], networkId: createNetwork.id, gateway: {} },
  });
  return { hub, networkId: createNetwork.id, branch };
}
