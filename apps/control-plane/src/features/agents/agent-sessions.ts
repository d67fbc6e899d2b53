import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Inject, Injectable } from "@nestjs/common";
import { type AgentMessage, CommandSchema, type ControlMessage, GoodbyeReason, type Hello } from "@sallyport/contract";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Slice, Turns } from "../../platform/slices.js";
import { IntentService } from "../intents/intent.service.js";
import { Confirmations } from "../revocations/confirmations.js";
import { RevocationService } from "../revocations/revocation.service.js";
import { type AgentPeer, AgentPeerService } from "./agent-peer.service.js";
import { AgentSession } from "./agent-session.js";
import { Gate } from "./gate.js";
import { ReportIngest } from "./report-ingest.js";
import { SessionStore } from "./session.store.js";
import { inTurns, type ReadRegister, readOnce, readTogether, toldPart } from "./told-revocations.js";

const SEEN_MS = 10_000;
const REAP_MS = 15_000;
/** How long a wake-up that got lost may cost. */
const LOOK_MS = 60_000;
/** Sessions that look for themselves at a time, and that write down what their agents say. */
const LOOKING = 4;
const WRITING = 8;

/** The streams that this replica holds, one a gateway, and what wake-ups mean to them. */
@Injectable()
export class AgentSessions {
  readonly #replicaId = randomUUID();
  readonly #byGateway = new Map<string, AgentSession>();
  /** Those that the database knows of. */
  readonly #written = new WeakSet<AgentSession>();
  readonly #stopListening: (() => void)[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  /** Writes about one session happen one after another. */
  readonly #closing = new Set<Promise<void>>();
  readonly #gate = new Gate(WRITING);
  readonly #read: ReadRegister = async (organizationId, after) =>
    toldPart(await this.revocations.after(organizationId, after));
  readonly #turns = new Turns();
  readonly #register = inTurns(readTogether(this.#read), this.#turns);

  constructor(
    private readonly store: SessionStore,
    private readonly peers: AgentPeerService,
    private readonly intents: IntentService,
    private readonly ingest: ReportIngest,
    private readonly revocations: RevocationService,
    private readonly confirmations: Confirmations,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  start(): void {
    const { bus } = this;
    this.#stopListening.push(
      bus.subscribe("intent", ({ gatewayId }) => void this.#byGateway.get(gatewayId)?.deliver()),
      bus.subscribe("session", ({ gatewayId, sessionId }) => {
        const session = this.#byGateway.get(gatewayId);
        if (session && session.id !== sessionId) void this.#refuseReplaced(session);
      }),
      bus.subscribe("revoked", ({ gatewayId }) => {
        const session = this.#byGateway.get(gatewayId);
        if (session) void this.#refuseRevoked(session);
      }),
      bus.subscribe("revocation", ({ organizationId }) => void this.#tellRevocations(organizationId)),
      bus.subscribe("command", (message) => this.#command(message)),
      bus.onReconnect(() => void this.#lookAtAll()),
    );
    this.#every(SEEN_MS, () => this.store.seen([...this.#byGateway.values()].map((s) => s.id)));
    this.#every(REAP_MS, async () => {
      for (const gateway of await this.store.reap()) await this.bus.publish("onboarding", gateway);
    });
    this.#every(LOOK_MS, () => this.#lookAtAll());
  }

  /** Says goodbye to everybody and writes down that they are gone. */
  async stop(): Promise<void> {
    for (const stop of this.#stopListening.splice(0)) stop();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    const slice = new Slice();
    for (const session of this.#byGateway.values()) {
      session.goodbye(GoodbyeReason.SHUTDOWN, "this replica stops", 200);
      if (slice.isOver) await slice.next();
    }
    const until = Date.now() + 2_000;
    while (this.#byGateway.size + this.#closing.size > 0 && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.ingest.stop();
  }

  run(peer: AgentPeer, messages: AsyncIterable<AgentMessage>, version: string): AsyncGenerator<ControlMessage> {
    const session = new AgentSession(peer, {
      intents: this.intents,
      ingest: this.ingest,
      register: this.#register,
      confirmations: this.confirmations,
      gate: this.#gate,
      log: this.log,
      version,
      greeted: (greeted) => this.#greeted(greeted),
      opened: (opened, hello) => this.#opened(opened, hello),
      closed: (closed) => this.#closed(closed),
    });
    return session.run(messages);
  }

  #greeted(session: AgentSession): void {
    const { gatewayId } = session.peer;
    const older = this.#byGateway.get(gatewayId);
    this.#byGateway.set(gatewayId, session);
    older?.goodbye(GoodbyeReason.REPLACED, "a newer stream took its place");
  }

  async #opened(session: AgentSession, hello: Hello): Promise<void> {
    const { gatewayId, organizationId, name, origin } = session.peer;
    await this.store.open({ id: session.id, replicaId: this.#replicaId }, session.peer, hello);
    this.#written.add(session);
    this.log.info(
      { gateway: name, origin, agent: hello.agentVersion, running: hello.runningRevision },
      "agent connected",
    );
    await this.#tell(gatewayId, organizationId, session.id);
  }

  async #tell(gatewayId: string, organizationId: string, sessionId: string): Promise<void> {
    const told = await Promise.allSettled([
      this.bus.publish("session", { gatewayId, sessionId }),
      this.bus.publish("onboarding", { organizationId, gatewayId }),
    ]);
    // A lost wake-up costs time only: a replica that holds an older stream finds out when it looks at its sessions.
    for (const t of told) if (t.status === "rejected") this.log.debug({ err: t.reason }, "a wake-up was not sent");
  }

  #closed(session: AgentSession): void {
    const { gatewayId, organizationId, name } = session.peer;
    if (this.#byGateway.get(gatewayId) === session) this.#byGateway.delete(gatewayId);
    const written = session
      .settled()
      .then(() => this.store.close(session.id, session.peer))
      .then(() => this.bus.publish("onboarding", { organizationId, gatewayId }))
      .catch((err: unknown) =>
        this.log.debug({ err, gateway: name }, "an agent's leaving was not written: its lease will end"),
      )
      .finally(() => this.#closing.delete(written));
    this.#closing.add(written);
  }

  /** Of all replicas the one that holds the stream answers. */
  #command({ commandId, gatewayId, action }: Message<"command">): void {
    const session = this.#byGateway.get(gatewayId);
    if (session === undefined) return;
    const command = create(CommandSchema, { id: commandId, action: onTheWire(action) });
    session.command(command, (problem, csr) => {
      const { name } = session.peer;
      this.log.info({ gateway: name, ...told(action), problem }, "an agent answered a command");
      const result = problem === undefined ? csr && { csr: Buffer.from(csr).toString("base64") } : { problem };
      this.bus
        .publish("commandResult", { commandId, ...result })
        .catch((err: unknown) => this.log.warn({ err, commandId }, "whoever gave the command was not told"));
    });
  }

  /** Wake-ups come late: whether the other session is the newer one is what the database says. */
  async #refuseReplaced(session: AgentSession): Promise<void> {
    if (!this.#written.has(session)) return;
    try {
      const current = await this.store.current(session.peer);
      if (current === undefined || current === session.id) return;
      session.goodbye(GoodbyeReason.REPLACED, "a newer stream took its place");
    } catch (err) {
      this.log.debug({ err, gateway: session.peer.name }, "a session could not be checked");
    }
  }

  async #refuseRevoked(session: AgentSession): Promise<void> {
    try {
      if (await this.peers.isGood(session.peer.fingerprint)) return;
      session.goodbye(GoodbyeReason.REVOKED, "the certificate is revoked, or the gateway retired", 60_000);
    } catch (err) {
      this.log.debug({ err, gateway: session.peer.name }, "a session could not be checked; it will be later");
    }
  }

  /** Every session of an organization, or of all. */
  async #tellRevocations(organizationId?: string): Promise<void> {
    const read = inTurns(readOnce(this.#read), this.#turns);
    const slice = new Slice();
    // A session that comes meanwhile reads for itself.
    for (const session of [...this.#byGateway.values()]) {
      if (organizationId !== undefined && session.peer.organizationId !== organizationId) continue;
      void session.tellRevocations(read);
      if (slice.isOver) await slice.next();
    }
  }

  /** Wake-ups may have been missed: every session looks for itself, a few at a time, since others want the database too. */
  async #lookAtAll(): Promise<void> {
    void this.#tellRevocations();
    const sessions = this.#byGateway.values();
    const look = async () => {
      for (const session of sessions) {
        await session.deliver();
        await this.#refuseRevoked(session);
        await this.#refuseReplaced(session);
      }
    };
    await Promise.all(Array.from({ length: LOOKING }, look));
  }

  #every(ms: number, work: () => Promise<void>): void {
    let busy = false;
    const run = async () => {
      if (busy) return;
      busy = true;
      try {
        await work();
      } catch (err) {
        this.log.debug({ err }, "housekeeping of sessions failed; it will be tried again");
      } finally {
        busy = false;
      }
    };
    this.#timers.push(setInterval(() => void run(), ms).unref());
  }
}

/** As the contract has it: octets are text between replicas. */
function onTheWire(
  action: Message<"command">["action"],
): NonNullable<MessageInitShape<typeof CommandSchema>["action"]> {
  if (action.case !== "useControlCertificate") return action;
  return { case: action.case, value: { chain: action.value.chain.map((der) => Buffer.from(der, "base64")) } };
}

/** What of a command may stand in a log: the answer to a challenge is for its authority alone. */
function told({ case: action, value }: Message<"command">["action"]): object {
  if ("tunnelId" in value) return { action, ...value };
  return {
    action,
    ...("names" in value ? { names: value.names } : {}),
    ...("name" in value ? { name: value.name } : {}),
  };
}
