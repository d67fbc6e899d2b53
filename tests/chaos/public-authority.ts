import { eventually } from "@sallyport/testkit";
import type { Fleet } from "../../tools/demo/fleet.ts";
import { HEADQUARTERS, NS } from "../../tools/demo/world.ts";
import { Pebble } from "../control-channel/pebble.js";

const GATEWAYS = "query gateways { gateways { edges { node { id name } } } }";
const CREATE_ACCOUNT =
  "mutation createAcmeAccount($input: CreateAcmeAccountInput!) { createAcmeAccount(input: $input) { id } }";
const REQUEST =
  "mutation requestAcmeCertificate($input: RequestAcmeCertificateInput!) { requestAcmeCertificate(input: $input) { id } }";
const DELETE = "mutation deleteAcmeCertificate($id: ID!) { deleteAcmeCertificate(id: $id) { id } }";
const STATE = `query acmeCertificates { acmeCertificates { edges { node {
  id certificate { fingerprint deployedAt } orders { state failure { code message } }
} } } }`;

interface Gateways {
  readonly gateways: { readonly edges: readonly { readonly node: { readonly id: string; readonly name: string } }[] };
}
interface State {
  readonly acmeCertificates: {
    readonly edges: readonly {
      readonly node: {
        readonly id: string;
        readonly certificate: { readonly fingerprint: string } | null;
        readonly orders: readonly { readonly state: string; readonly failure: object | null }[];
      };
    }[];
  };
}

/** Where Pebble is in the demo's internet. */
const ADDRESS = "198.18.0.2";
export const NAME = "vpn.example.org";

/** Pebble, which asks headquarters on the ports that the world would, and the account that headquarters has there. */
export class PublicAuthority {
  private constructor(
    private readonly fleet: Fleet,
    private readonly pebble: Pebble,
    private readonly accountId: string,
    private readonly gatewayId: string,
  ) {}

  static async open(fleet: Fleet): Promise<PublicAuthority> {
    const place = { namespace: NS.internet, address: ADDRESS, names: HEADQUARTERS.address };
    const pebble = await Pebble.start({ place });
    const { api } = fleet.controlPlane;
    const { gateways } = await api.run<Gateways>(GATEWAYS);
    const gatewayId = gateways.edges.find(({ node }) => node.name === "Headquarters")?.node.id ?? "";
    const { createAcmeAccount } = await api.run<{ createAcmeAccount: { id: string } }>(CREATE_ACCOUNT, {
      input: {
        ...{ name: pebble.url, directoryUrl: pebble.url, termsOfServiceAgreed: true, contacts: [] },
        directoryRoots: `${pebble.roots}\n${await pebble.issuingRoot()}`,
      },
    });
    return new PublicAuthority(fleet, pebble, createAcmeAccount.id, gatewayId);
  }

  /** Headquarters has no certificate of it any more. */
  async close(): Promise<void> {
    const state = await this.#state();
    if (state) await this.fleet.controlPlane.api.run(DELETE, { id: state.id });
    await this.pebble.stop();
  }

  /** Orders a certificate for headquarters, with a new key, and waits until that is to show it. Gives its fingerprint. */
  async issue(more: { readonly challenge?: "HTTP_01" | "TLS_ALPN_01"; readonly keyType?: string }): Promise<string> {
    const { api } = this.fleet.controlPlane;
    const before = await this.#state();
    await api.run(REQUEST, {
      input: { gatewayId: this.gatewayId, accountId: this.accountId, names: [NAME], ...more },
    });
    return eventually(
      `the certificate of ${NAME} is there`,
      async () => {
        const state = await this.#state();
        const [newest] = state?.orders ?? [];
        if (newest?.failure) throw new Error(JSON.stringify(newest));
        const issued = newest?.state === "ISSUED" && (state?.orders.length ?? 0) > (before?.orders.length ?? 0);
        const shown = state?.certificate?.fingerprint;
        return (issued && shown !== before?.certificate?.fingerprint && shown) || undefined;
      },
      60_000,
    );
  }

  async #state() {
    const { acmeCertificates } = await this.fleet.controlPlane.api.run<State>(STATE);
    return acmeCertificates.edges[0]?.node;
  }
}
