/** Many gateways, each with as much of an agent as revocations need. */
import { createHash, randomBytes } from "node:crypto";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { decodeToken, encodeToken, IkeSaSchema, TunnelStateSchema, TunnelStatus } from "@sallyport/contract";
import pg from "pg";
import { pino } from "pino";
import type { Plane } from "./plane.ts";

const root = path.resolve(import.meta.dirname, "../..");
const compiled = (file: string) => import(path.join(root, "apps", file));
/** The apps are compiled; their types are those of their source. */
const [{ enrol }, { EnrolmentStore, IntentStore, RevocationStore }, stream, { inSlices }, { EmbeddedPostgres }] =
  (await Promise.all([
    compiled("agent/dist/enrol/index.js"),
    compiled("agent/dist/store/index.js"),
    compiled("agent/dist/stream/index.js"),
    compiled("agent/dist/daemon/slices.js"),
    compiled("control-plane/dist/platform/database/embedded-postgres.js"),
  ])) as [
    typeof import("../../apps/agent/src/enrol/index.ts"),
    typeof import("../../apps/agent/src/store/index.ts"),
    typeof import("../../apps/agent/src/stream/index.ts"),
    typeof import("../../apps/agent/src/daemon/slices.ts"),
    typeof import("../../apps/control-plane/src/platform/database/embedded-postgres.ts"),
  ];
const log = pino({ level: "error" }, pino.destination(2));

type Enrolment = Awaited<ReturnType<typeof enrol>>;

/** Enrolments at a time. */
const ABREAST = 16;
const VERSION = "0.0.0";

/** The control plane's own. */
export async function databaseOf(plane: Plane): Promise<pg.Client> {
  const server = await EmbeddedPostgres.start(plane.database, log);
  const client = new pg.Client(server.connection);
  await client.connect();
  return client;
}

/**
 * Describes one site through the API and copies its rows: every site that is described is checked against all others, and that is another
 * thing to measure. Gives the enrolment tokens.
 */
export async function describeSites(plane: Plane, count: number): Promise<string[]> {
  const { createSite } = await plane.api.run<{ createSite: { gateway: { id: string }; enrolment: { token: string } } }>(
    "mutation createSite($input: CreateSiteInput!) { createSite(input: $input) { gateway { id } enrolment { token } } }",
    { input: { name: "Site 0", subnets: ["10.0.0.0/24"], gateway: {} } },
  );
  const { token } = createSite.enrolment;
  const { urls, caPin } = decodeToken(token);
  const secrets = Array.from({ length: count - 1 }, () => randomBytes(32));
  const copies = secrets.map((_, i) => i + 1);
  const client = await databaseOf(plane);
  try {
    await client.query(
      `WITH original AS (SELECT * FROM gateways WHERE id = $1),
      n AS (SELECT * FROM unnest($2::int[], $3::text[], $4::bytea[]) AS n (i, prefix, hash)),
      s AS (
        INSERT INTO sites (id, organization_id, name, updated_at)
        SELECT uuidv7(), o.organization_id, 'Site ' || n.i, now() FROM original o, n RETURNING id, organization_id, name),
      p AS (
        INSERT INTO subnets (id, organization_id, prefix, site_id)
        SELECT uuidv7(), s.organization_id, n.prefix::inet, s.id FROM s JOIN n ON s.name = 'Site ' || n.i),
      g AS (
        INSERT INTO gateways (id, organization_id, site_id, name, identity, updated_at)
        SELECT uuidv7(), s.organization_id, s.id, s.name, 'copy-' || n.i || '-' || o.identity, now()
        FROM original o, s JOIN n ON s.name = 'Site ' || n.i RETURNING id, organization_id, name)
      INSERT INTO enrolment_tokens (id, organization_id, gateway_id, hash, expires_at)
      SELECT uuidv7(), g.organization_id, g.id, n.hash, now() + interval '1 hour' FROM g JOIN n ON g.name = 'Site ' || n.i`,
      [
        createSite.gateway.id,
        copies,
        copies.map((i) => `10.${i >> 8}.${i & 255}.0/24`),
        secrets.map((secret) => createHash("sha256").update(secret).digest()),
      ],
    );
  } finally {
    await client.end();
  }
  return [token, ...secrets.map((secret) => encodeToken({ secret, urls, caPin }))];
}

/** When what an agent was told last reached it, and when it had applied and written it: `performance.now()`. */
export interface Passed {
  told: number;
  written: number;
}

/** An enrolled agent whose engine does nothing. */
export class SimulatedAgent {
  readonly passed: Passed = { told: 0, written: 0 };
  #stop: () => Promise<void> = async () => {};
  #connected: () => boolean = () => false;
  #hasIntent: () => boolean = () => false;
  #tunnel: string | undefined;
  #reporter = new stream.Reporter();

  readonly enrolment: Enrolment;
  readonly #state: string;

  constructor(state: string, enrolment: Enrolment) {
    this.#state = state;
    this.enrolment = enrolment;
  }

  get connected(): boolean {
    return this.#connected();
  }

  /** It has written down an intent that the control plane confirmed. */
  get hasIntent(): boolean {
    return this.#hasIntent();
  }

  /** Id of the tunnel that its intent describes. */
  get tunnel(): string | undefined {
    return this.#tunnel;
  }

  /** Tells of so many IKE SAs of its tunnel that have come up, with a CHILD SA each. */
  async report(tunnelId: string, count: number): Promise<void> {
    const hex = (n: number, digits: number) => n.toString(16).padStart(digits, "0");
    const sas = Array.from({ length: count }, (_, n) =>
      create(IkeSaSchema, {
        ...{ initiatorSpi: hex(n + 1, 16), responderSpi: hex(n + 2, 16), ikeVersion: 2, state: "established" },
        user: `person-${n}`,
        children: [{ childId: "c", inboundSpi: hex(n + 256, 8), outboundSpi: hex(n + 256, 8), localTs: ["0.0.0.0/0"] }],
      }),
    );
    const state = create(TunnelStateSchema, { tunnelId, status: TunnelStatus.UP });
    const now = new Map([[tunnelId, { state, sas: new Map(sas.map((sa) => [stream.saKey(sa), sa])) }]]);
    const changes = await inSlices(stream.changesBetween(new Map(), now));
    await inSlices(this.#reporter.states(changes, now));
  }

  /** Opens its stream to where `enrolment` says. */
  connect(enrolment: Enrolment): void {
    const reporter = new stream.Reporter();
    this.#reporter = reporter;
    const intents = new stream.IntentKeeper({
      ...{ store: new IntentStore(this.#state), reporter, log },
      apply: async ({ connections }) => {
        this.#tunnel = connections[0]?.id;
      },
      clear: async () => {},
    });
    const revocations = new stream.RevocationKeeper({
      store: new RevocationStore(this.#state),
      reporter: {
        answer: (body) => {
          this.passed.written = performance.now();
          reporter.answer(body);
        },
      },
      log,
      apply: async () => {
        this.passed.told = performance.now();
        return new Map();
      },
    });
    const channel = new stream.ControlChannel({
      ...{ enrolment: () => enrolment, agentVersion: VERSION, intents, revocations, reporter, log },
      dataPlane: {
        ...{ kind: "userspace", encryption: [], integrity: [] },
        ...{ esn: true, udpEncapsulation: true, kernelRelease: "" },
      },
      restart: async (sasApart) => reporter.restart(new Map(), sasApart),
      resync: async () => reporter.resync(new Map()),
      onCommand: async () => undefined,
    });
    this.#stop = () => channel.stop();
    this.#connected = () => channel.connected;
    this.#hasIntent = () => intents.confirmed > 0;
    channel.start();
  }

  disconnect(): Promise<void> {
    return this.#stop();
  }
}

/** Enrols an agent with each of the tokens. */
export async function enrolAll(home: string, tokens: readonly string[]): Promise<SimulatedAgent[]> {
  const agents: SimulatedAgent[] = [];
  const waiting = tokens.entries();
  const enrolSome = async () => {
    for (const [i, token] of waiting) {
      const state = path.join(home, `agent-${i}`);
      const enrolment = await enrol({ token, store: new EnrolmentStore(state), agentVersion: VERSION });
      agents.push(new SimulatedAgent(state, enrolment));
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, enrolSome));
  return agents;
}

/** Milliseconds that one write of the register to a folder takes, one after the other. */
export async function writeTimes(directory: string, count: number): Promise<number[]> {
  const store = new RevocationStore(path.join(directory, "written"));
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await store.save({ upTo: i, refusals: [{ kind: "person", username: "somebody@acme.example" }] });
    times.push(performance.now() - began);
  }
  return times;
}
