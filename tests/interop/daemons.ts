import {
  type Agent,
  type AgentOptions,
  type IkeView,
  type Libreswan,
  type LibreswanOptions,
  layOut,
  type Peer,
  type PeerIkeSa,
  remove,
  type Strongswan,
  type StrongswanOptions,
  startAgent,
  startLibreswan,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { DATA_PLANE, Pair, PEER_DATA_PLANE } from "./lab.js";

/** What a daemon is told besides where it runs, which the lab knows. */
type Told<Options> = Omit<Options, "namespace" | "dataPlane">;

const START_MS = 120_000;
const STOP_MS = 60_000;

/** Namespaces with daemons in them, of which nothing remains behind. */
export class Lab {
  readonly #topology: Topology;
  #running: { stop(): Promise<void> }[] = [];

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  /** One lab for all tests of the file. */
  forFile(start: () => Promise<unknown>): void {
    beforeAll(async () => {
      await this.#layOut();
      await start();
    }, START_MS);
    afterAll(async () => {
      await this.#stop();
      await remove(this.#topology);
    }, STOP_MS);
  }

  /** Another lab for each test of the file, which starts its daemons itself, after `prepare`. */
  forEachTest(prepare: () => Promise<unknown> = async () => {}): void {
    beforeEach(async () => {
      await this.#layOut();
      await prepare();
    }, START_MS);
    afterEach(() => this.#stop(), STOP_MS);
    afterAll(() => remove(this.#topology), STOP_MS);
  }

  agent(namespace: string, options: Told<AgentOptions>): Promise<Agent> {
    return this.#run(startAgent({ ...options, namespace, dataPlane: DATA_PLANE }));
  }

  strongswan(namespace: string, options: Told<StrongswanOptions>): Promise<Strongswan> {
    return this.#run(startStrongswan({ ...options, namespace, dataPlane: PEER_DATA_PLANE }));
  }

  libreswan(namespace: string, options: Told<LibreswanOptions>): Promise<Libreswan> {
    return this.#run(startLibreswan({ ...options, namespace }));
  }

  async #run<Daemon extends { stop(): Promise<void> }>(starting: Promise<Daemon>): Promise<Daemon> {
    const daemon = await starting;
    this.#running.push(daemon);
    return daemon;
  }

  async #layOut(): Promise<void> {
    await remove(this.#topology);
    await layOut(this.#topology);
  }

  async #stop(): Promise<void> {
    const daemons = this.#running;
    this.#running = [];
    await Promise.all(daemons.map((daemon) => daemon.stop()));
  }
}

/** Namespaces of the agent and of the peer. */
export interface Ends {
  readonly ours: string;
  readonly theirs: string;
}

/** How both ends are set up. */
export interface Setup<Options> {
  readonly peer: Told<Options>;
  readonly agent: Told<AgentOptions>;
}

/** An agent and one other daemon. */
export class TwoEnds<P extends Peer<Sa>, Sa extends IkeView, Options> {
  readonly ends: Ends;
  readonly #lab: Lab;
  readonly #startPeer: (lab: Lab, options: Told<Options>) => Promise<P>;
  #agent: Agent | undefined;
  #peer: P | undefined;

  constructor(ends: Ends, topology: Topology, startPeer: (lab: Lab, options: Told<Options>) => Promise<P>) {
    this.ends = ends;
    this.#lab = new Lab(topology);
    this.#startPeer = startPeer;
  }

  /** One pair of them for all tests of the file. */
  forFile(setup: () => Setup<Options> | Promise<Setup<Options>>): this {
    this.#lab.forFile(async () => this.start(await setup()));
    return this;
  }

  /** Another pair for each test of the file, which calls `start` itself, after `prepare`. */
  forEachTest(prepare?: () => Promise<unknown>): this {
    this.#lab.forEachTest(prepare);
    return this;
  }

  async start(setup: Setup<Options>): Promise<Pair<Sa>> {
    this.#peer = await this.#startPeer(this.#lab, setup.peer);
    this.#agent = await this.#lab.agent(this.ends.ours, setup.agent);
    return this.pair;
  }

  get agent(): Agent {
    return present(this.#agent);
  }
  get peer(): P {
    return present(this.#peer);
  }
  get pair(): Pair<Sa> {
    return new Pair<Sa>(this.agent, this.peer, this.ends);
  }
}

function present<T>(daemon: T | undefined): T {
  if (daemon === undefined) throw new Error("the lab did not start");
  return daemon;
}

export type StrongswanLab = TwoEnds<Strongswan, PeerIkeSa, StrongswanOptions>;
export type LibreswanLab = TwoEnds<Libreswan, IkeView, LibreswanOptions>;

export const againstStrongswan = (ends: Ends, topology: Topology): StrongswanLab =>
  new TwoEnds(ends, topology, (lab, options) => lab.strongswan(ends.theirs, options));

export const againstLibreswan = (ends: Ends, topology: Topology): LibreswanLab =>
  new TwoEnds(ends, topology, (lab, options) => lab.libreswan(ends.theirs, options));
