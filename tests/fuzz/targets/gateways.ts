import { IpAddress, Prefix } from "@sallyport/base";
import { CFG, CFG_ATTRIBUTE, type IkeConfig, type Payload } from "@sallyport/ike";
import { childOf, configOf, peerOf, range } from "@sallyport/testkit";
import { childRequest, SECRET } from "./seeds.ts";

const NOT_GUESSED = new TextEncoder().encode("dJ8s0-kq2_VtW5");
const ANY = { kind: "range", protocol: 0, startPort: 0, endPort: 65_535 } as const;

/** An engine as an input may find it, and what a peer that knows the secret sends in IKE_AUTH beside its proof. */
export interface Gateway {
  readonly config: IkeConfig;
  /** Undefined where the proof takes more than one message. */
  readonly request: readonly Payload[] | undefined;
}

const site: Gateway = { config: configOf(peerOf("b", { passive: true })), request: childRequest(0x2000) };

const ofPeople = peerOf("b", {
  id: "people",
  passive: true,
  remote: { endpoint: undefined, accept: [Prefix.any(4)] },
  remoteAuth: [{ method: "psk", identity: { match: "any" }, secrets: [SECRET] }],
  modeConfig: {
    pools: ["four"],
    required: true,
    dns: [IpAddress.parse("10.2.0.53")],
    domains: ["corp.example"],
    subnets: [Prefix.parse("10.2.0.0/16")],
    users: [],
  },
  children: [childOf("b", { remote: [] })],
});
const pools = [{ id: "four", ranges: [{ first: IpAddress.parse("10.9.0.1"), last: IpAddress.parse("10.9.0.250") }] }];

const people: Gateway = {
  config: { ...configOf(ofPeople), pools },
  request: [
    {
      kind: "CP",
      cfgType: CFG.REQUEST,
      attributes: [CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS, CFG_ATTRIBUTE.INTERNAL_IP4_DNS].map((type) => ({
        type,
        value: new Uint8Array(0),
      })),
    },
    ...childRequest(0x2000).map(
      (p): Payload =>
        p.kind === "TSi"
          ? {
              ...p,
              selectors: [{ ...ANY, start: IpAddress.parse("0.0.0.0"), end: IpAddress.parse("255.255.255.255") }],
            }
          : p,
    ),
  ],
};

const byPassword: Gateway = {
  config: {
    ...configOf({
      ...ofPeople,
      remoteAuth: [
        {
          method: "eap",
          identity: { match: "any" },
          eap: { methods: ["mschapv2", "md5", "gtc"], identity: "ask", users: "staff" },
        },
      ],
    }),
    pools,
    eapUsers: new Map([["staff", new Map([["alice", NOT_GUESSED]])]]),
  },
  request: undefined,
};

const template: Gateway = {
  config: configOf(
    peerOf("b", {
      passive: true,
      children: [childOf("b", { template: "port-strict", remote: [range("10.0.0.0/8")] })],
    }),
  ),
  request: childRequest(0x2000),
};

export const GATEWAYS: readonly Gateway[] = [site, people, byPassword, template];
