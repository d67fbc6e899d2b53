import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type GatewayIntent, INTENT_SCHEMA, serializeIntent } from "@sallyport/intent";
import { pino } from "pino";
import { inSlices } from "../../apps/agent/src/daemon/slices.js";
import { enrol } from "../../apps/agent/src/enrol/index.js";
import { type Enrolment, EnrolmentStore, IntentStore, RevocationStore } from "../../apps/agent/src/store/index.js";
import {
  ControlChannel,
  type ControlChannelOptions,
  changesBetween,
  IntentKeeper,
  type IntentKeeperOptions,
  Reporter,
  RevocationKeeper,
  type Snapshot,
  type Verdict,
} from "../../apps/agent/src/stream/index.js";
import { AgentPeerService } from "../../apps/control-plane/src/features/agents/agent-peer.service.js";
import { AgentServer } from "../../apps/control-plane/src/features/agents/agent-server.js";
import { AgentSessions } from "../../apps/control-plane/src/features/agents/agent-sessions.js";
import { ReportIngest } from "../../apps/control-plane/src/features/agents/report-ingest.js";
import { PrismaSessionStore } from "../../apps/control-plane/src/features/agents/session.store.js";
import { AuditService } from "../../apps/control-plane/src/features/audit/audit.service.js";
import { PrismaAuditStore } from "../../apps/control-plane/src/features/audit/audit.store.js";
import { AuthorityService } from "../../apps/control-plane/src/features/certificates/authority.service.js";
import { CertificateService } from "../../apps/control-plane/src/features/certificates/certificate.service.js";
import { HardwareKeys } from "../../apps/control-plane/src/features/certificates/hardware-keys.js";
import { IssuanceLogService } from "../../apps/control-plane/src/features/certificates/issuance-log.service.js";
import { IssuedCertificates } from "../../apps/control-plane/src/features/certificates/issued-certificates.js";
import { ServerCertificateService } from "../../apps/control-plane/src/features/certificates/server-certificate.service.js";
import { CertificateSightings } from "../../apps/control-plane/src/features/certificates/sightings.service.js";
import { AgentEndpoints } from "../../apps/control-plane/src/features/enrolment/agent-endpoints.js";
import { TokenEnrolmentService } from "../../apps/control-plane/src/features/enrolment/token-enrolment.service.js";
import { EventService } from "../../apps/control-plane/src/features/events/event.service.js";
import { PrismaEventStore } from "../../apps/control-plane/src/features/events/event.store.js";
import {
  type DeliverableIntent,
  IntentService,
  type Refusal,
} from "../../apps/control-plane/src/features/intents/intent.service.js";
import { Confirmations } from "../../apps/control-plane/src/features/revocations/confirmations.js";
import { RevocationService } from "../../apps/control-plane/src/features/revocations/revocation.service.js";
import { PrismaRevocationStore } from "../../apps/control-plane/src/features/revocations/revocation.store.js";
import { RevocationRegister } from "../../apps/control-plane/src/features/revocations/revocation-register.js";
import {
  type CounterReport,
  type ReportOutcome,
  type StateBatch,
  TunnelStateService,
} from "../../apps/control-plane/src/features/tunnels/tunnel-state.service.js";
import { PostgresBus } from "../../apps/control-plane/src/platform/bus/postgres-bus.js";
import { readConfig } from "../../apps/control-plane/src/platform/config/config.js";
import type { Tx } from "../../apps/control-plane/src/platform/database/database.js";
import { EmbeddedPostgres } from "../../apps/control-plane/src/platform/database/embedded-postgres.js";
import { migrate } from "../../apps/control-plane/src/platform/database/migrations.js";
import { PrismaDatabase } from "../../apps/control-plane/src/platform/database/prisma-database.js";
import { Outbox } from "../../apps/control-plane/src/platform/outbox/outbox.js";
import { systemContext, type TenantContext } from "../../apps/control-plane/src/platform/tenancy.js";
import { Vault } from "../../apps/control-plane/src/platform/vault/vault.js";
import { type Connection, createDatabase } from "../../apps/control-plane/test/database.js";

export const log = pino({ level: process.env.TEST_LOG ?? "silent" });

type Truthy<T> = Exclude<T, false | null | undefined>;

/** Waits for something that other processes or timers bring about. */
export async function eventually<T>(what: () => T | Promise<T>, ms = 30_000): Promise<Truthy<T>> {
  const until = Date.now() + ms;
  for (;;) {
    const value = await what();
    if (value) return value as Truthy<T>;
    if (Date.now() > until) throw new Error(`did not happen within ${ms} ms: ${what}`);
    await sleep(10);
  }
}

/** A database for a whole file of tests. */
export class TestDatabase {
  private constructor(
    readonly directory: string,
    readonly connection: Connection,
    readonly vault: Vault,
    private readonly end: () => Promise<void>,
    private readonly server?: EmbeddedPostgres,
  ) {}

  /** A database of its own on the run's PostgreSQL. */
  static async open(): Promise<TestDatabase> {
    const directory = await mkdtemp(path.join(tmpdir(), "sallyport-channel-"));
    const { connection, drop } = await createDatabase();
    return new TestDatabase(directory, connection, await Vault.open(readConfig({ SALLYPORT_HOME: directory })), drop);
  }

  /** A PostgreSQL of its own, which may be killed. */
  static async start(): Promise<TestDatabase> {
    const directory = await mkdtemp(path.join(tmpdir(), "sallyport-channel-"));
    const server = await EmbeddedPostgres.start(path.join(directory, "postgres"), log);
    const config = readConfig({ SALLYPORT_HOME: directory });
    await migrate(server.connection, config.migrations);
    return new TestDatabase(directory, server.connection, await Vault.open(config), () => server.stop(), server);
  }

  /** The postmaster's process. */
  get pid(): number {
    if (this.server === undefined) throw new Error("the run's PostgreSQL is not this test's to kill");
    return this.server.pid;
  }

  async stop(): Promise<void> {
    await this.end();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Stands in for the intents feature: revisions are what the test says, and what agents answered is kept. */
export class ScriptedIntents extends IntentService {
  readonly latest = new Map<string, GatewayIntent>();
  readonly answers: string[] = [];
  readonly refusals: Refusal[] = [];
  recompiled = 0;

  override async recompile(_tx: Tx, _organizationId: string): Promise<void> {
    this.recompiled++;
  }

  override async latestFor(gatewayId: string): Promise<DeliverableIntent | undefined> {
    const intent = this.latest.get(gatewayId);
    if (intent === undefined) return undefined;
    const body = Uint8Array.from(Buffer.from(serializeIntent(intent)));
    return {
      organizationId: "",
      gatewayId,
      revision: intent.revision,
      schemaVersion: INTENT_SCHEMA,
      body,
      sha256: Uint8Array.from(createHash("sha256").update(body).digest()),
    };
  }

  override async pushed(_: string, revision: number): Promise<void> {
    this.answers.push(`pushed ${revision}`);
  }
  override async acked(_: string, revision: number): Promise<void> {
    this.answers.push(`acked ${revision}`);
  }
  override async confirmed(_: string, revision: number): Promise<void> {
    this.answers.push(`confirmed ${revision}`);
  }
  override async nacked(_: string, revision: number, refusal: Refusal): Promise<void> {
    this.answers.push(`nacked ${revision}`);
    this.refusals.push(refusal);
  }
  override async reverted(_: string, revision: number, toRevision: number): Promise<void> {
    this.answers.push(`reverted ${revision} to ${toRevision}`);
  }
}

/** Keeps what was reported. */
export class RecordedTunnels extends TunnelStateService {
  readonly reports: StateBatch[] = [];
  readonly counted: CounterReport[] = [];
  failWith: Error | undefined;
  outcome: ReportOutcome = "written";

  override async report(_gatewayId: string, _streamId: string, batch: StateBatch): Promise<ReportOutcome> {
    if (this.failWith) throw this.failWith;
    this.reports.push(batch);
    return this.outcome;
  }
  override async untold(): Promise<boolean> {
    return false;
  }
  override async counters(_: string, _at: Date, counters: readonly CounterReport[]): Promise<void> {
    this.counted.push(...counters);
  }
}

/** The parts of a control plane that agents talk to, on a real database; each instance is one replica. */
export class TestControlPlane {
  readonly intents: ScriptedIntents;
  readonly tunnels = new RecordedTunnels();
  readonly database: PrismaDatabase;
  readonly bus: PostgresBus;
  readonly authorities: AuthorityService;
  readonly certificates: CertificateService;
  readonly register: RevocationRegister;
  readonly enrolments: TokenEnrolmentService;
  readonly server: AgentServer;
  readonly sessions: AgentSessions;
  readonly store: PrismaSessionStore;
  context!: TenantContext;

  constructor(postgres: TestDatabase, options: { port?: number; intents?: ScriptedIntents; urls?: string } = {}) {
    const config = readConfig({
      SALLYPORT_HOME: postgres.directory,
      SALLYPORT_AGENTS_LISTEN: `127.0.0.1:${options.port ?? 0}`,
      ...(options.urls === undefined ? {} : { SALLYPORT_AGENTS_URLS: options.urls }),
    });
    this.intents = options.intents ?? new ScriptedIntents();
    this.database = new PrismaDatabase(postgres.connection, log);
    this.bus = new PostgresBus(postgres.connection, log);
    this.authorities = new AuthorityService(postgres.vault, new HardwareKeys(config, log), config);
    const outbox = new Outbox(this.bus, log);
    const revocations = new PrismaRevocationStore(this.database);
    this.register = new RevocationRegister(revocations, outbox);
    this.certificates = new CertificateService(
      this.authorities,
      new IssuedCertificates(new IssuanceLogService(this.database), outbox, this.register),
    );
    const serverCertificate = new ServerCertificateService(this.database, this.authorities);
    const endpoints = new AgentEndpoints(config);
    const audit = new AuditService(new PrismaAuditStore(this.database));
    const events = new EventService(this.database, new PrismaEventStore(this.database), audit);
    this.enrolments = new TokenEnrolmentService(
      this.database,
      this.bus,
      this.certificates,
      serverCertificate,
      endpoints,
      this.intents,
      audit,
      events,
    );
    const peers = new AgentPeerService(this.database);
    this.store = new PrismaSessionStore(this.database);
    const ingest = new ReportIngest(this.tunnels, events, new CertificateSightings(this.database, log), log);
    this.sessions = new AgentSessions(
      this.store,
      peers,
      this.intents,
      ingest,
      new RevocationService(revocations),
      new Confirmations(this.database, revocations, events, this.bus, log),
      this.bus,
      log,
    );
    this.server = new AgentServer(
      config,
      log,
      this.database,
      this.certificates,
      serverCertificate,
      endpoints,
      this.enrolments,
      this.intents,
      peers,
      this.sessions,
    );
  }

  async start(): Promise<this> {
    await this.bus.open();
    await this.server.listen();
    const organization =
      (await this.database.client.organization.findFirst()) ??
      (await this.database.client.organization.create({ data: { name: "Acme", slug: "acme" } }));
    this.context = systemContext(organization.id, "test");
    return this;
  }

  async stop(): Promise<void> {
    await this.server.close();
    await this.bus.close();
    await this.database.close();
  }

  /** A gateway that waits for its agent. */
  async gateway(name: string): Promise<{ id: string; identity: string }> {
    const { organizationId } = this.context;
    const site = await this.database.client.site.create({ data: { organizationId, name: `site of ${name}` } });
    const identity = `gw-${name}.acme.sallyport`;
    return this.database.client.gateway.create({ data: { organizationId, siteId: site.id, name, identity } });
  }

  async token(gatewayId: string): Promise<string> {
    return (await this.enrolments.reissue(this.context, gatewayId)).token;
  }

  /** Id of the gateway's open stream, wherever it is. */
  session(gatewayId: string): Promise<string | undefined> {
    return this.store.current({ gatewayId, organizationId: this.context.organizationId });
  }

  row(gatewayId: string) {
    const { organizationId } = this.context;
    return this.database.client.gateway.findUniqueOrThrow({ where: { organizationId, id: gatewayId } });
  }
}

/** The agent's side of the channel, with a gateway that does whatever it is told unless the test says otherwise. */
export class TestAgent {
  readonly applied: number[] = [];
  refuse: ((intent: GatewayIntent) => void) | undefined;
  readonly reporter = new Reporter();
  snapshot: Snapshot = new Map();
  readonly enrolmentStore: EnrolmentStore;
  readonly keeper: IntentKeeper;
  readonly revocations: RevocationKeeper;
  readonly verdicts: Verdict[] = [];
  onRevocations: () => void = () => {};
  /** IKE SAs that every verdict ends. */
  endedSas = 0;
  enrolment!: Enrolment;
  channel!: ControlChannel;
  commands: string[] = [];
  refuseCommand: Error | undefined;
  /** Carries commands out; absent: they are only kept. */
  onCommand: ControlChannelOptions["onCommand"] | undefined;

  constructor(
    readonly state: string,
    keeper: Partial<IntentKeeperOptions> = {},
  ) {
    this.enrolmentStore = new EnrolmentStore(state);
    this.keeper = new IntentKeeper({
      store: new IntentStore(state),
      reporter: this.reporter,
      log,
      apply: async (intent) => {
        this.refuse?.(intent);
        this.applied.push(intent.revision);
      },
      clear: async () => void this.applied.push(0),
      ...keeper,
    });
    this.revocations = new RevocationKeeper({
      store: new RevocationStore(state),
      reporter: this.reporter,
      log,
      apply: async (verdicts) => {
        this.onRevocations();
        this.verdicts.push(...verdicts);
        return new Map(verdicts.map(({ number }) => [number, this.endedSas]));
      },
    });
  }

  async enrol(token: string): Promise<Enrolment> {
    this.enrolment = await enrol({ token, store: this.enrolmentStore, agentVersion: "1.2.3" });
    return this.enrolment;
  }

  /** What its tunnels are from now on. */
  async becomes(snapshot: Snapshot): Promise<void> {
    const changes = await inSlices(changesBetween(this.snapshot, snapshot));
    this.snapshot = snapshot;
    await inSlices(this.reporter.states(changes, snapshot));
  }

  connect(): ControlChannel {
    this.channel = new ControlChannel({
      enrolment: () => this.enrolment,
      agentVersion: "1.2.3",
      dataPlane: {
        kind: "userspace",
        encryption: [],
        integrity: [],
        esn: true,
        udpEncapsulation: true,
        kernelRelease: "",
      },
      intents: this.keeper,
      revocations: this.revocations,
      reporter: this.reporter,
      restart: async (sasApart) => this.reporter.restart(this.snapshot, sasApart),
      resync: async () => this.reporter.resync(this.snapshot),
      onCommand: async (action) => {
        if (this.refuseCommand) throw this.refuseCommand;
        this.commands.push(action.case ?? "");
        return this.onCommand?.(action);
      },
      log,
    });
    this.channel.start();
    return this.channel;
  }
}
