import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AgentMessage,
  CONTRACT_VERSION,
  type Command,
  type CommandResult,
  type ControlMessage,
  ControlMessageSchema,
  GoodbyeReason,
  type Hello,
  OLDEST_CONTRACT_VERSION,
  type RevocationApplied,
} from "@sallyport/contract";
import type { Message } from "../../platform/bus/bus.js";
import { isOutage } from "../../platform/database/prisma-database.js";
import type { Log } from "../../platform/log/log.js";
import { TokenBucket } from "../../platform/token-bucket.js";
import type { IntentService } from "../intents/intent.service.js";
import type { Confirmations } from "../revocations/confirmations.js";
import type { AgentPeer } from "./agent-peer.service.js";
import type { Gate } from "./gate.js";
import { MessageQueue } from "./message-queue.js";
import type { ReportIngest, ReportSource } from "./report-ingest.js";
import { commandProblem } from "./report-mapping.js";
import { type ReadRegister, ToldRevocations } from "./told-revocations.js";

const SESSION_LIMITS = {
  /** Messages that wait to be sent, and answers of the agent that wait to be written down. */
  outgoing: 64,
  pending: 64,
  /** Commands that the agent has not answered. */
  commands: 16,
  /** Revocations that one message of the agent tells of; a message to it has fewer. */
  applied: 1_000,
  /** Messages from the agent: at once, and per second. Of states alone, and of all others. */
  burst: 500,
  perSecond: 100,
  helloMs: 10_000,
  pingMs: 5_000,
  silenceMs: 20_000,
  retryMs: 300,
} as const;

export interface SessionDependencies {
  readonly intents: IntentService;
  readonly ingest: ReportIngest;
  readonly register: ReadRegister;
  readonly confirmations: Pick<Confirmations, "take">;
  /** What sessions write down goes through it: a fleet that comes at once leaves room for others. */
  readonly gate: Pick<Gate, "run">;
  readonly log: Log;
  readonly version: string;
  /** The agent has said hello: wake-ups reach it from now on. */
  readonly greeted: (session: AgentSession) => void;
  /** Makes it the gateway's one session, for all replicas. */
  readonly opened: (session: AgentSession, hello: Hello) => Promise<void>;
  readonly closed: (session: AgentSession) => void;
}

/** What is longer is no request that anybody asked for, and will be found malformed. */
const MAX_CSR_BYTES = 4_096;

type CommandProblem = NonNullable<Message<"commandResult">["problem"]>;
type Answered = (problem: CommandProblem | undefined, csr?: Uint8Array) => void;
type Body = NonNullable<MessageInitShape<typeof ControlMessageSchema>["body"]>;

const NOT_CONNECTED: CommandProblem = { code: "agents/not-connected", message: "the agent's stream ended" };

/** One open stream of an agent. */
export class AgentSession {
  readonly id = randomUUID();
  readonly #out = new MessageQueue<ControlMessage>(SESSION_LIMITS.outgoing);
  readonly #bucket = new TokenBucket(SESSION_LIMITS.burst, SESSION_LIMITS.perSecond, performance.now());
  readonly #states = new TokenBucket(SESSION_LIMITS.burst, SESSION_LIMITS.perSecond, performance.now());
  #hello: Hello | undefined;
  /** Undefined: the agent understands none, or has not said hello. */
  #revocations: ToldRevocations | undefined;
  /** The agent was told whom to refuse: it may have an intent. */
  #mayServe = false;
  /** Revision that was sent last on this stream, or that the agent said it runs. */
  #sent = 0;
  #ended = false;
  #silence: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #pending = 0;
  #delivering: Promise<void> | undefined;
  #again = false;
  readonly #commands = new Map<string, Answered>();

  constructor(
    readonly peer: AgentPeer,
    private readonly dependencies: SessionDependencies,
  ) {}

  /** Runs the stream: takes `messages` until either side ends it, and gives what is to be sent. */
  async *run(messages: AsyncIterable<AgentMessage>): AsyncGenerator<ControlMessage> {
    this.#watch(SESSION_LIMITS.helloMs, GoodbyeReason.PROTOCOL_ERROR, "no hello came");
    void this.#read(messages);
    try {
      yield* this.#out;
    } finally {
      this.#end();
      if (this.#hello !== undefined) this.dependencies.closed(this);
    }
  }

  /** Resolves when nothing that the agent said is being written any more. */
  settled(): Promise<void> {
    return this.#work;
  }

  /** Ends the stream and says why. */
  goodbye(reason: GoodbyeReason, message: string, retryAfterMs = 0): void {
    if (this.#ended) return;
    this.dependencies.log.info(
      { gateway: this.peer.name, reason: GoodbyeReason[reason] },
      `agent's stream ends: ${message}`,
    );
    this.#send({ case: "goodbye", value: { reason, message, retryAfterMs } });
    this.#end();
  }

  /** `answered` is called once: by what the agent says, or when the stream ends before it says anything. */
  command(command: Command, answered: Answered): void {
    if (this.#ended || this.#hello === undefined) {
      answered(NOT_CONNECTED);
    } else if (this.#commands.size >= SESSION_LIMITS.commands || this.#commands.has(command.id)) {
      answered({ code: "agents/busy", message: "the agent has not answered earlier commands" });
    } else {
      this.#commands.set(command.id, answered);
      this.#send({ case: "command", value: command });
    }
  }

  /** Tells what has come into the register, also while its beginning is being told: that may have been read before. */
  async tellRevocations(read: ReadRegister): Promise<void> {
    const revocations = this.#revocations;
    if (revocations) await this.#persist("telling revocations", () => revocations.tell(read));
  }

  /** Sends the newest revision unless the agent has it. Calls while one is at work make it look once more afterwards. */
  deliver(): Promise<void> {
    this.#again = true;
    this.#delivering ??= this.#deliverLoop().finally(() => {
      this.#delivering = undefined;
    });
    return this.#delivering;
  }

  async #deliverLoop(): Promise<void> {
    while (this.#again && !this.#ended && this.#mayServe) {
      this.#again = false;
      await this.#persist("delivering an intent", () => this.dependencies.gate.run(() => this.#deliver()));
    }
  }

  async #deliver(): Promise<void> {
    const { intents } = this.dependencies;
    const intent = await intents.latestFor(this.peer.gatewayId);
    if (intent === undefined || intent.revision === this.#sent || this.#ended) return;
    if (this.#hello?.refusedRevisions.includes(intent.revision)) return;
    const { revision, schemaVersion, body, sha256 } = intent;
    this.#sent = revision;
    this.#send({ case: "intent", value: { revision, schemaVersion, body, sha256 } });
    await intents.pushed(this.peer.gatewayId, revision);
  }

  async #read(messages: AsyncIterable<AgentMessage>): Promise<void> {
    const { log } = this.dependencies;
    try {
      for await (const message of messages) {
        if (this.#ended) return;
        if (message.body.case === "state") {
          await this.#room();
          if (this.#ended) return;
        } else if (!this.#bucket.take(performance.now())) {
          this.goodbye(GoodbyeReason.OVERLOADED, "too many messages", 5_000);
          return;
        }
        if (this.#hello !== undefined) this.#watch(SESSION_LIMITS.silenceMs, GoodbyeReason.PROTOCOL_ERROR, "silence");
        this.#take(message);
      }
    } catch (err) {
      if (!this.#ended) log.debug({ err, gateway: this.peer.name }, "an agent's stream broke");
    } finally {
      this.#end();
    }
  }

  /**
   * Waits until a report of states may be taken. An agent says as much of them as it has: one that says more than is written, or
   * faster than is allowed, is read more slowly, and HTTP/2's flow control (RFC 9113 §5.2) makes it wait.
   */
  async #room(): Promise<void> {
    for (;;) {
      const wait = this.#states.wait(performance.now());
      if (wait === 0) break;
      await sleep(wait);
    }
    await this.dependencies.ingest.room(this.#source());
  }

  #take({ body }: AgentMessage): void {
    if (this.#hello === undefined) {
      if (body.case === "hello") this.#greet(body.value);
      else this.goodbye(GoodbyeReason.PROTOCOL_ERROR, "the first message was not a hello");
      return;
    }
    const { gatewayId } = this.peer;
    const { intents, ingest } = this.dependencies;
    switch (body.case) {
      case "ping":
        this.#send({ case: "pong", value: { sequence: body.value.sequence } });
        break;
      case "ack": {
        const { revision } = body.value;
        // The Ack came over a stream that outlived the change, which is what commit-confirm asks for.
        this.#send({ case: "confirm", value: { revision } });
        this.#answer("an Ack", () => intents.acked(gatewayId, revision));
        ingest.applied(this.#source());
        break;
      }
      case "confirmed": {
        const { revision } = body.value;
        this.#answer("a confirmation", () => intents.confirmed(gatewayId, revision));
        break;
      }
      case "nack": {
        const { revision, problem } = body.value;
        const refusal = {
          code: problem?.code || "agent/unknown",
          message: problem?.message ?? "",
          field: problem?.field || undefined,
          value: problem?.value || undefined,
          expected: problem?.expected || undefined,
        };
        this.#answer("a Nack", () => intents.nacked(gatewayId, revision, refusal));
        break;
      }
      case "reverted": {
        const { revision, toRevision, reason } = body.value;
        this.#sent = toRevision;
        this.#answer("a reversion", () => intents.reverted(gatewayId, revision, toRevision, reason));
        break;
      }
      case "revocationsApplied":
        this.#applied(body.value.upTo, body.value.applied);
        break;
      case "state":
        ingest.state(this.#source(), body.value);
        break;
      case "counters":
        ingest.counters(gatewayId, body.value);
        break;
      case "events":
        ingest.event(gatewayId, body.value);
        break;
      case "certificates":
        ingest.certificates(gatewayId, body.value);
        break;
      case "commandResult":
        this.#answered(body.value);
        break;
      case "hello":
        this.goodbye(GoodbyeReason.PROTOCOL_ERROR, "a second hello");
        break;
      default:
        // A newer agent may say what this version does not know.
        break;
    }
  }

  #applied(upTo: number, applied: readonly RevocationApplied[]): void {
    const { gatewayId, organizationId } = this.peer;
    const ended = applied.slice(0, SESSION_LIMITS.applied).map(({ number, endedSas }) => ({ number, endedSas }));
    this.dependencies.confirmations.take({ gatewayId, organizationId, upTo, ended, at: new Date() });
  }

  #answered({ id, ok, problem, csr }: CommandResult): void {
    const answered = this.#commands.get(id);
    if (answered === undefined) return;
    this.#commands.delete(id);
    answered(ok ? undefined : commandProblem(problem), csr.length > 0 ? csr.subarray(0, MAX_CSR_BYTES) : undefined);
  }

  #greet(hello: Hello): void {
    const { contractVersion: version } = hello;
    if (version < OLDEST_CONTRACT_VERSION || version > CONTRACT_VERSION) {
      const expected = `${OLDEST_CONTRACT_VERSION} to ${CONTRACT_VERSION}`;
      this.goodbye(GoodbyeReason.UNSUPPORTED_VERSION, `contract version ${version}, spoken are ${expected}`, 60_000);
      return;
    }
    if (hello.gatewayId !== this.peer.gatewayId) {
      this.goodbye(GoodbyeReason.PROTOCOL_ERROR, "the hello names another gateway than the certificate", 60_000);
      return;
    }
    this.#hello = hello;
    this.#sent = hello.runningRevision;
    this.#watch(SESSION_LIMITS.silenceMs, GoodbyeReason.PROTOCOL_ERROR, "silence");
    const { version: ours, greeted, opened, intents, ingest } = this.dependencies;
    const { revocationsUpTo: upTo } = hello;
    if (upTo !== undefined) {
      this.#revocations = new ToldRevocations(upTo, this.peer.organizationId, (message) => this.#push(message));
    }
    const tellsRevocations = upTo !== undefined;
    const welcome = { version: ours, pingIntervalMs: SESSION_LIMITS.pingMs, sasApart: true, tellsRevocations };
    this.#send({ case: "welcome", value: welcome });
    greeted(this);
    // A gateway's start waits for it, and the register's news come by wake-ups from now on.
    const told = this.#persist("a hello's place in the register of revocations", async () =>
      this.#revocations?.tell(this.dependencies.register),
    );
    const { runningRevision: running, confirmedRevision: confirmed } = hello;
    // It came back within its time after a change: the change did not cut it off.
    if (running > 0 && running !== confirmed) this.#send({ case: "confirm", value: { revision: running } });
    this.#answer("a hello", async () => {
      await opened(this, hello);
      if (!this.#ended) {
        ingest.opened(this.#source(), {
          resync: () => this.#send({ case: "resync", value: {} }),
          refused: ({ code, message }) => this.#send({ case: "statesRefused", value: { problem: { code, message } } }),
        });
      }
      if (running > 0) await intents.acked(this.peer.gatewayId, running);
      if (confirmed > 0) await intents.confirmed(this.peer.gatewayId, confirmed);
    });
    this.#work = this.#work.then(async () => {
      await told;
      this.#mayServe = true;
      if (upTo !== undefined && upTo > 0) this.#applied(upTo, []);
      await this.deliver();
    });
  }

  /** Writes down what the agent said, in order. An agent that says more than can be written is cut off, and tells it again in its hello. */
  #answer(what: string, write: () => Promise<void>): void {
    if (++this.#pending > SESSION_LIMITS.pending) {
      this.goodbye(GoodbyeReason.OVERLOADED, "too many answers wait for the database", 2_000);
      return;
    }
    this.#work = this.#work.then(async () => {
      await this.#persist(what, () => this.dependencies.gate.run(async () => this.#ended || (await write())));
      this.#pending--;
    });
  }

  /** Tries until it is written, the stream ends, or the failure is not the database's absence. */
  async #persist(what: string, write: () => Promise<unknown>): Promise<void> {
    while (!this.#ended) {
      try {
        await write();
        return;
      } catch (err) {
        if (!isOutage(err)) {
          this.dependencies.log.error({ err, gateway: this.peer.name }, `${what} could not be dealt with`);
          this.goodbye(GoodbyeReason.OVERLOADED, "internal error", 5_000);
          return;
        }
        await sleep(SESSION_LIMITS.retryMs);
      }
    }
  }

  #send(body: Body): void {
    if (!this.#ended) this.#push(create(ControlMessageSchema, { body }));
  }

  #push(own: ControlMessage): void {
    if (this.#ended) return;
    if (!this.#out.push(own)) {
      const message = "too many messages wait to be read";
      this.dependencies.log.warn({ gateway: this.peer.name }, `agent's stream ends: ${message}`);
      const value = { reason: GoodbyeReason.OVERLOADED, message, retryAfterMs: 5_000 };
      this.#out.close(create(ControlMessageSchema, { body: { case: "goodbye", value } }));
      this.#end();
    }
  }

  #source(): ReportSource {
    return { gatewayId: this.peer.gatewayId, streamId: this.id };
  }

  #watch(ms: number, reason: GoodbyeReason, why: string): void {
    clearTimeout(this.#silence);
    if (!this.#ended) this.#silence = setTimeout(() => this.goodbye(reason, why), ms).unref();
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#silence);
    this.#out.close();
    this.dependencies.ingest.ended(this.#source());
    const unanswered = [...this.#commands.values()];
    this.#commands.clear();
    for (const answered of unanswered) answered(NOT_CONNECTED);
  }
}
