import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Command } from "@sallyport/contract";
import { pino } from "pino";
import { ChallengeResponder, RequestedKeys } from "../../apps/agent/src/certify/index.js";
import { Credentials } from "../../apps/agent/src/daemon/credentials.js";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { startControlPlane, type TestControlPlane } from "../../apps/control-plane/test/control-plane.js";
import { CREATE_SITE, type MadeSite } from "../../apps/control-plane/test/fleet.js";
import { pool } from "../../apps/control-plane/test/people.js";
import { eventually, TestAgent } from "./harness.js";
import { Pebble, type PebbleOptions } from "./pebble.js";

const CREATE_ACCOUNT = "mutation ($input: CreateAcmeAccountInput!) { createAcmeAccount(input: $input) { id state } }";
export const REQUEST =
  "mutation ($input: RequestAcmeCertificateInput!) { requestAcmeCertificate(input: $input) { id } }";
export const STATE = `{
  acmeAccounts { edges { node { id state accountUrl failure { code problem { type } } } } }
  acmeCertificates { edges { node {
    id names renewAt certificate { id kind issuer names fingerprint deployedAt supersededAt keyKind: holder }
    orders { state names attempts failure { code message problem { type detail status } } }
  } } }
}`;

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly problem: { readonly type: string; readonly detail: string } | null;
}
export interface AcmeOrder {
  readonly state: string;
  readonly failure: Failure | null;
}
export interface State {
  acmeAccounts: {
    edges: { node: { id: string; state: string; accountUrl: string | null; failure: Failure | null } }[];
  };
  acmeCertificates: {
    edges: {
      node: {
        id: string;
        renewAt: string | null;
        certificate: { fingerprint: string; issuer: string } | null;
        orders: AcmeOrder[];
      };
    }[];
  };
}

/** A gateway with the parts that certificates need, answering on the ports that Pebble asks at. */
export class AcmeGateway {
  readonly requested: RequestedKeys;
  readonly challenges: ChallengeResponder;
  readonly credentials: Credentials;
  /** False: it says that it answers, and does not. */
  answers = true;
  serviceId = "";

  constructor(
    readonly agent: TestAgent,
    readonly id: string,
    ports: Pebble["ports"],
  ) {
    this.requested = new RequestedKeys(agent.state);
    this.challenges = new ChallengeResponder(pino({ level: "silent" }), ports);
    this.credentials = new Credentials(undefined, this.requested);
    agent.onCommand = (action) => this.#command(action);
  }

  async #command(action: NonNullable<Command["action"]>): Promise<Uint8Array | undefined> {
    if (action.case === "requestCertificate") return this.requested.request(action.value, new Set());
    if (action.case === "presentChallenge" && this.answers) await this.challenges.present(action.value);
    if (action.case === "withdrawChallenge") await this.challenges.withdraw(action.value.token);
    return undefined;
  }

  /** The connection in which the gateway shows a certificate of a public authority, as it was confirmed. */
  async shown(name: string) {
    const { intent } = await new IntentStore(this.agent.state).load();
    for (const { local } of intent?.connections ?? []) {
      if (local.method !== "certificate" || !("value" in local.identity) || local.identity.value !== name) continue;
      return local.certificates?.[0];
    }
    return undefined;
  }
}

/** A control plane whose gateways get certificates of Pebble. */
export class AcmeLab {
  #serial = 0;
  readonly #agents: TestAgent[] = [];
  readonly #ends: (() => Promise<void>)[] = [];

  private constructor(
    readonly plane: TestControlPlane,
    /** Also of programs that change zones. */
    readonly directory: string,
  ) {}

  static async start(): Promise<AcmeLab> {
    const directory = await mkdtemp(path.join(tmpdir(), "sallyport-acme-"));
    return new AcmeLab(await startControlPlane({ SALLYPORT_DNS_PROGRAMS: directory }), directory);
  }

  /** After a test. */
  async clear(): Promise<void> {
    await Promise.all(this.#ends.splice(0).map((end) => end()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#agents.map((a) => a.channel?.stop()));
    await this.plane.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Is called after the test. */
  ends(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  async pebble(options: PebbleOptions = {}): Promise<Pebble> {
    const started = await Pebble.start(options);
    this.#ends.push(() => started.stop());
    return started;
  }

  async account(at: Pebble, more: object = {}): Promise<string> {
    const { createAcmeAccount } = await this.plane.get<{ createAcmeAccount: { id: string } }>(CREATE_ACCOUNT, {
      input: {
        ...{
          name: `Account ${++this.#serial}`,
          directoryUrl: at.url,
          directoryRoots: at.roots,
          termsOfServiceAgreed: true,
        },
        ...{ contacts: ["mailto:ops@example.org"], ...more },
      },
    });
    return createAcmeAccount.id;
  }

  /** A gateway that serves road warriors. */
  async gateway(at: Pebble): Promise<AcmeGateway> {
    const number = ++this.#serial;
    const { createSite } = await this.plane.get<{ createSite: MadeSite }>(CREATE_SITE, {
      input: { name: `Site ${number}`, subnets: [`10.${number}.0.0/16`], gateway: { host: `198.51.100.${number}` } },
    });
    const agent = new TestAgent(path.join(this.directory, `agent-${number}`));
    this.#agents.push(agent);
    const made = new AcmeGateway(agent, createSite.gateway.id, at.ports);
    this.#ends.push(() => made.challenges.close());
    await agent.enrol(createSite.enrolment.token);
    agent.connect();
    const { createRemoteAccess } = await this.plane.get<{ createRemoteAccess: { id: string } }>(
      "mutation ($input: CreateRemoteAccessInput!) { createRemoteAccess(input: $input) { id } }",
      {
        input: {
          ...{ name: `Service ${number}`, gatewayIds: [made.id], shares: 1, networks: [`10.${number}.0.0/16`] },
          ...{
            poolIds: [await pool(this.plane, `Pool ${number}`, [`172.16.${number}.0/24`], [])],
            methods: ["CERTIFICATE"],
          },
        },
      },
    );
    made.serviceId = createRemoteAccess.id;
    await eventually(() => agent.keeper.confirmed > 0);
    return made;
  }

  async accountState(id: string) {
    const { acmeAccounts } = await this.plane.get<State>(STATE);
    return acmeAccounts.edges.find((e) => e.node.id === id)?.node;
  }

  async certificateState(id: string) {
    const { acmeCertificates } = await this.plane.get<State>(STATE);
    return acmeCertificates.edges.find((e) => e.node.id === id)?.node;
  }

  async order(made: AcmeGateway, accountId: string, names: readonly string[], more: object = {}): Promise<string> {
    const input = { gatewayId: made.id, accountId, names, ...more };
    const { requestAcmeCertificate } = await this.plane.get<{ requestAcmeCertificate: { id: string } }>(REQUEST, {
      input,
    });
    return requestAcmeCertificate.id;
  }

  async ended(id: string): Promise<AcmeOrder> {
    return eventually(async () => {
      const [newest] = (await this.certificateState(id))?.orders ?? [];
      return (newest?.state === "ISSUED" || newest?.state === "FAILED") && newest;
    }, 60_000);
  }
}
