import { rm } from "node:fs/promises";
import path from "node:path";
import {
  eventually,
  firstReply,
  layOut,
  type PingResult,
  ping,
  remove,
  Stopwatch,
  type Strongswan,
} from "@sallyport/testkit";
import { ControlPlane } from "./control-plane.ts";
import { Gateway } from "./gateway.ts";
import {
  ADD_EXTERNAL_PEER,
  type AddExternalPeer,
  CREATE_NETWORK,
  CREATE_SITE,
  type CreateNetwork,
  type CreateSite,
  GATEWAY_CONNECTED,
  type GatewayConnected,
  HEALTH,
  type Health,
  type MadeGateway,
  ONBOARD_SITE,
  ONBOARDING_PROGRESS,
  type OnboardingProgress,
  type OnboardSite,
} from "./operations.ts";
import { AGREED, partnerConnection, startPartner } from "./partner.ts";
import { RoadWarrior } from "./road-warrior.ts";
import { Undo } from "./undo.ts";
import { BRANCH, HEADQUARTERS, NS, PARTNER, WORLD } from "./world.ts";

export interface FleetOptions {
  /** Folder of everything that is written; it is removed at the end. */
  readonly home: string;
  readonly dataPlane: "userspace" | "kernel";
  readonly port: number;
  readonly agentsPort: number;
  /** Of the network of headquarters and branch; absent: certificates. */
  readonly authentication?: "CERTIFICATE" | "PRE_SHARED_KEY";
}

export interface Onboarded {
  readonly gateway: MadeGateway;
  readonly command: string;
  /** From sending the mutation to the first reply across the tunnel. */
  readonly toPingMs: number;
}

/** A guest kernel takes some eight seconds to start one Node process, and onboarding starts two. */
const PATIENCE_MS = 60_000;

/** The demo's world with everything in it, driven through the public API alone. */
export class Fleet {
  readonly controlPlane: ControlPlane;
  readonly headquarters: Gateway;
  readonly branch: Gateway;
  readonly #options: FleetOptions;
  readonly #undo = new Undo();
  #partner: Strongswan | undefined;
  #headquarters: MadeGateway | undefined;
  #network = "";

  constructor(options: FleetOptions) {
    const { home, dataPlane, port, agentsPort } = options;
    this.#options = options;
    this.controlPlane = new ControlPlane({ home: path.join(home, "control-plane"), port, agentsPort });
    this.headquarters = new Gateway({ name: "headquarters", namespace: NS.headquarters, dataPlane, home });
    this.branch = new Gateway({ name: "branch", namespace: NS.branch, dataPlane, home });
  }

  get partner(): Strongswan {
    if (!this.#partner) throw new Error("the partner has not started yet");
    return this.#partner;
  }

  get logFiles(): readonly string[] {
    return [this.controlPlane.logFile, this.headquarters.logFile, this.branch.logFile];
  }

  async startControlPlane(): Promise<void> {
    this.#undo.add("remove the demo's files", () => rm(this.#options.home, { recursive: true, force: true }));
    this.#undo.add("stop the control plane", () => this.controlPlane.stop());
    await this.controlPlane.start();
  }

  async layOut(): Promise<void> {
    this.#undo.add("remove the network namespaces", () => remove(WORLD));
    await layOut(WORLD);
  }

  /** Describes headquarters and a network whose hub it is; enrols its gateway. */
  async createHeadquarters(tell: (what: string) => void = () => {}): Promise<{ command: string }> {
    tell("mutation createSite");
    const { createSite } = await this.controlPlane.api.run<CreateSite>(CREATE_SITE, {
      input: { name: "Headquarters", subnets: [HEADQUARTERS.subnet], gateway: { host: HEADQUARTERS.address } },
    });
    this.#headquarters = createSite.gateway;
    tell("enrolling its gateway");
    await this.#start(this.headquarters, createSite.enrolment.command);
    tell("mutation createNetwork");
    const { authentication = "CERTIFICATE" } = this.#options;
    const { createNetwork } = await this.controlPlane.api.run<CreateNetwork>(CREATE_NETWORK, {
      input: { name: "Offices", hubGatewayIds: [createSite.gateway.id], authentication },
    });
    this.#network = createNetwork.id;
    tell("waiting for its agent to connect");
    await this.headquarters.whileRunning(this.connected(createSite.gateway.id));
    return { command: createSite.enrolment.command };
  }

  /** One mutation and the command that it prints, and packets flow. `tell` hears of every step of the subscription. */
  async onboardBranch(tell: (what: string) => void = () => {}): Promise<Onboarded> {
    const watch = new Stopwatch();
    const reply = firstReply(NS.branchHost, HEADQUARTERS.host, { timeoutMs: PATIENCE_MS }).then(() => watch.stop());
    reply.catch(() => undefined);
    tell("mutation onboardSite");
    const { onboardSite } = await this.controlPlane.api.run<OnboardSite>(ONBOARD_SITE, {
      input: { name: "Branch", subnets: [BRANCH.subnet], gateway: {}, networkId: this.#network },
    });
    const watched = new AbortController();
    const progress = this.#follow(onboardSite.gateway.id, watched.signal, tell);
    try {
      await this.#start(this.branch, onboardSite.enrolment.command);
      const toPingMs = await this.branch.whileRunning(reply);
      return { gateway: onboardSite.gateway, command: onboardSite.enrolment.command, toPingMs };
    } finally {
      watched.abort();
      await progress;
    }
  }

  /** The partner's strongSwan, and the mutation that makes headquarters call it. */
  async addPartner(tell: (what: string) => void = () => {}): Promise<void> {
    const headquarters = this.#headquarters;
    if (!headquarters) throw new Error("headquarters comes first");
    const preSharedKey = "agreed by telephone, spoken twice";
    tell("starting strongSwan");
    this.#partner = await startPartner({
      dataPlane: this.#options.dataPlane,
      home: this.#options.home,
      headquartersIdentity: headquarters.identity,
      preSharedKey,
    });
    this.#undo.add("stop strongSwan", () => this.#partner?.stop());
    tell("mutation addExternalPeer");
    await this.controlPlane.api.run<AddExternalPeer>(ADD_EXTERNAL_PEER, {
      input: {
        name: "Partner",
        gatewayId: headquarters.id,
        host: PARTNER.address,
        remoteIdentity: AGREED.identity,
        preSharedKey,
        subnets: [PARTNER.subnet],
        ikeProposals: AGREED.ikeProposals,
        espProposals: AGREED.espProposals,
        peerIkeProposals: AGREED.ikeProposals,
        peerEspProposals: AGREED.espProposals,
      },
    });
    tell("waiting for the first packet");
    await this.headquarters.whileRunning(firstReply(NS.headquartersHost, PARTNER.host, { timeoutMs: PATIENCE_MS }));
  }

  /** The partner changes its mind, for the next IKE SA. */
  async changePartner(ikeProposals: readonly string[] = AGREED.ikeProposals): Promise<void> {
    if (!this.#headquarters) throw new Error("headquarters comes first");
    await this.partner.load({ connections: [partnerConnection(this.#headquarters.identity, [...ikeProposals])] });
  }

  /** Remote access at headquarters, and a laptop that nobody has set up yet. */
  async prepareRoadWarrior(tell: (what: string) => void = () => {}): Promise<RoadWarrior> {
    if (!this.#headquarters) throw new Error("headquarters comes first");
    const roadWarrior = new RoadWarrior(this.controlPlane.api, this.#options.home);
    this.#undo.add("stop the laptop's strongSwan", () => roadWarrior.stop());
    await this.headquarters.whileRunning(roadWarrior.prepare(this.#headquarters.id, this.#options.dataPlane, tell));
    return roadWarrior;
  }

  ping(from: string, to: string, count = 20): Promise<PingResult> {
    return ping(from, to, { count, intervalMs: 10 });
  }

  health(): Promise<Health> {
    return this.controlPlane.api.run<Health>(HEALTH);
  }

  /** Waits until the API says that `tunnels` tunnels are up and every gateway is connected. */
  healthy(tunnels: number, timeoutMs = PATIENCE_MS): Promise<Health> {
    let last: Health | undefined;
    return eventually(
      "the API reports every tunnel up",
      async () => {
        last = await this.health();
        const { gateways, gatewaysConnected, tunnels: all, tunnelsUp } = last.fleetHealth;
        const good = all === tunnels && tunnelsUp === tunnels && gatewaysConnected === gateways;
        if (!good) throw new Error(`it says ${JSON.stringify(last)}`);
        return last;
      },
      timeoutMs,
    );
  }

  async connected(gatewayId: string, timeoutMs = PATIENCE_MS): Promise<void> {
    await eventually(
      "the gateway is connected",
      async () =>
        (await this.controlPlane.api.run<GatewayConnected>(GATEWAY_CONNECTED, { id: gatewayId })).gateway.connected ||
        undefined,
      timeoutMs,
      20,
    );
  }

  /** Takes everything down. Resolves to what could not be, in plain words. */
  close(): Promise<string[]> {
    return this.#undo.run();
  }

  async #start(gateway: Gateway, command: string): Promise<void> {
    this.#undo.add(`stop the agent of ${gateway.namespace}`, () => gateway.stop());
    await gateway.enrol(command);
  }

  async #follow(gatewayId: string, signal: AbortSignal, tell: (what: string) => void): Promise<void> {
    const events = this.controlPlane.api.subscribe<OnboardingProgress>(ONBOARDING_PROGRESS, { gatewayId }, signal);
    for await (const { onboardingProgress } of events) {
      const newest = onboardingProgress.steps.filter((step) => step.done).at(-1);
      if (newest) tell(newest.name);
    }
  }
}
