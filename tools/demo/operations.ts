/** What an operator sends: the public API's documents with the shapes of their answers. */
export interface Enrolment {
  readonly command: string;
  readonly expiresAt: string;
}
export interface MadeGateway {
  readonly id: string;
  readonly name: string;
  readonly identity: string;
}

const MADE = "gateway { id name identity } enrolment { command expiresAt }";

export const CREATE_SITE = `mutation createSite($input: CreateSiteInput!) { createSite(input: $input) { ${MADE} } }`;
export interface CreateSite {
  readonly createSite: { readonly gateway: MadeGateway; readonly enrolment: Enrolment };
}

export const CREATE_NETWORK =
  "mutation createNetwork($input: CreateNetworkInput!) { createNetwork(input: $input) { id name } }";
export interface CreateNetwork {
  readonly createNetwork: { readonly id: string; readonly name: string };
}

export const ONBOARD_SITE = `mutation onboardSite($input: OnboardSiteInput!) { onboardSite(input: $input) { ${MADE} } }`;
export interface OnboardSite {
  readonly onboardSite: { readonly gateway: MadeGateway; readonly enrolment: Enrolment };
}

export const ADD_EXTERNAL_PEER =
  "mutation addExternalPeer($input: AddExternalPeerInput!) { addExternalPeer(input: $input) { id name } }";
export interface AddExternalPeer {
  readonly addExternalPeer: { readonly id: string; readonly name: string };
}

export const ONBOARDING_PROGRESS = `subscription onboardingProgress($gatewayId: ID!) {
  onboardingProgress(gatewayId: $gatewayId) { complete steps { name done at } }
}`;
export interface OnboardingProgress {
  readonly onboardingProgress: {
    readonly complete: boolean;
    readonly steps: readonly { readonly name: string; readonly done: boolean; readonly at: string | null }[];
  };
}

export const GATEWAY_CONNECTED = "query gateway($id: ID!) { gateway(id: $id) { connected } }";
export interface GatewayConnected {
  readonly gateway: { readonly connected: boolean };
}

/** The answer of an operation that makes something. */
export interface Made {
  readonly made: { readonly id: string };
}
export const CREATE_ROAD_WARRIOR =
  "mutation createRoadWarrior($input: CreateRoadWarriorInput!) { made: createRoadWarrior(input: $input) { id } }";
export const CREATE_POOL =
  "mutation createAddressPool($input: CreateAddressPoolInput!) { made: createAddressPool(input: $input) { id } }";
export const CREATE_REMOTE_ACCESS =
  "mutation createRemoteAccess($input: CreateRemoteAccessInput!) { made: createRemoteAccess(input: $input) { id } }";
export const CREATE_PROFILE = `mutation createCertificateProfile($input: CreateCertificateProfileInput!) {
  made: createCertificateProfile(input: $input) { id }
}`;

export const ISSUING_AUTHORITIES =
  "query certificateAuthorities { certificateAuthorities(first: 100) { edges { node { id level purpose } } } }";
export interface IssuingAuthorities {
  readonly certificateAuthorities: {
    readonly edges: readonly {
      readonly node: { readonly id: string; readonly level: string; readonly purpose: string };
    }[];
  };
}

export const CREATE_HANDOVER = `mutation createHandover($input: CreateHandoverInput!) {
  createHandover(input: $input) { link passphrase }
}`;
export interface CreateHandover {
  readonly createHandover: { readonly link: string; readonly passphrase: string };
}

export const REVOKE_ROAD_WARRIOR = `mutation revokeRoadWarrior($input: RevokeRoadWarriorInput!) {
  revokeRoadWarrior(input: $input) { roadWarrior { enabled } certificates { serial } }
}`;
export interface RevokeRoadWarrior {
  readonly revokeRoadWarrior: {
    readonly roadWarrior: { readonly enabled: boolean };
    readonly certificates: readonly { readonly serial: string }[];
  };
}

export const AFTER_THEFT = `query afterTheft($person: ID!, $address: String!) {
  leases(first: 1, filter: { roadWarriorId: $person, address: $address }) { edges { node { identity endedAt } } }
  auditEntries(first: 20) { edges { node { action after } } }
}`;
export interface AfterTheft {
  readonly leases: {
    readonly edges: readonly { readonly node: { readonly identity: string; readonly endedAt: string | null } }[];
  };
  readonly auditEntries: {
    readonly edges: readonly {
      readonly node: {
        readonly action: string;
        readonly after: { readonly code?: string; readonly who?: string } | null;
      };
    }[];
  };
}

export const HEALTH = `query health {
  fleetHealth { gateways gatewaysConnected tunnels tunnelsUp }
  tunnels(first: 10) {
    edges {
      node {
        name
        state
        ends {
          gateway { name }
          ikeSas {
            state proposal initiatorSpi nextRekeyAt natLocal natRemote
            childSas { proposal inboundSpi outboundSpi encapsulated packetsIn packetsOut }
          }
          lastError { code message ours theirs exchange }
        }
      }
    }
  }
}`;
export interface TunnelEnd {
  readonly gateway: { readonly name: string };
  readonly ikeSas: readonly {
    readonly state: string;
    readonly proposal: string;
    readonly initiatorSpi: string;
    readonly nextRekeyAt: string | null;
    readonly natLocal: boolean;
    readonly natRemote: boolean;
    readonly childSas: readonly {
      readonly proposal: string;
      readonly inboundSpi: string;
      readonly outboundSpi: string;
      readonly encapsulated: boolean;
      readonly packetsIn: string;
      readonly packetsOut: string;
    }[];
  }[];
  readonly lastError: {
    readonly code: string;
    readonly message: string;
    readonly ours: string | null;
    readonly theirs: string | null;
    readonly exchange: string;
  } | null;
}
export interface Tunnel {
  readonly name: string;
  readonly state: string;
  readonly ends: readonly TunnelEnd[];
}
export interface Health {
  readonly fleetHealth: {
    readonly gateways: number;
    readonly gatewaysConnected: number;
    readonly tunnels: number;
    readonly tunnelsUp: number;
  };
  readonly tunnels: { readonly edges: readonly { readonly node: Tunnel }[] };
}
