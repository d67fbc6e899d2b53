import { randomUUID } from "node:crypto";
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from "@nestjs/common";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { fault } from "./faults.js";
import { SessionStore } from "./session.store.js";

export interface CommandedGateway {
  readonly gatewayId: string;
  readonly organizationId: string;
}

type Result = Message<"commandResult">;

const ANSWER_MS = 10_000;
/** How often it is looked whether the agent that has to answer is still there. */
const PRESENCE_MS = 500;

/** Commands to agents, through whichever replica holds the agent's stream. */
@Injectable()
export class AgentCommands implements OnModuleInit, OnApplicationShutdown {
  readonly #waiting = new Map<string, (result: Result) => void>();
  #stopListening: (() => void) | undefined;

  constructor(
    private readonly bus: WakeUpBus,
    private readonly sessions: SessionStore,
  ) {}

  onModuleInit(): void {
    this.#stopListening = this.bus.subscribe("commandResult", (result) =>
      this.#waiting.get(result.commandId)?.(result),
    );
  }

  onApplicationShutdown(): void {
    this.#stopListening?.();
  }

  /** Whether the gateway's agent has an open stream. */
  async reaches(gateway: CommandedGateway): Promise<boolean> {
    return (await this.sessions.current(gateway)) !== undefined;
  }

  /**
   * Resolves when the agent has carried the command out, with the octets that it gives back, if any.
   * @throws agents/not-connected, agents/no-answer, agents/command-refused
   */
  async give(gateway: CommandedGateway, action: Message<"command">["action"]): Promise<Uint8Array | undefined> {
    const { gatewayId } = gateway;
    if (!(await this.reaches(gateway))) throw notConnected(gatewayId);
    const { problem, csr } = await this.#ask(gateway, { commandId: randomUUID(), gatewayId, action });
    if (problem === undefined) return csr === undefined ? undefined : Uint8Array.from(Buffer.from(csr, "base64"));
    if (problem.code === "agents/not-connected") throw notConnected(gatewayId);
    const { code: reason, message, field, value, expected } = problem;
    throw fault("agents/command-refused", message, {
      ...(field === undefined ? {} : { field }),
      ...(value === undefined ? {} : { value }),
      ...(expected === undefined ? {} : { expected }),
      facts: { reason },
    });
  }

  /** A stream may end before the command is at its replica: then nobody answers, and the session's absence has to tell. */
  async #ask(gateway: CommandedGateway, command: Message<"command">): Promise<Result> {
    const { gatewayId } = gateway;
    const answered = Promise.withResolvers<Result>();
    const late = setTimeout(() => answered.reject(noAnswer(gatewayId)), ANSWER_MS);
    const presence = setInterval(() => {
      this.reaches(gateway).then(
        (there) => !there && answered.reject(notConnected(gatewayId)),
        // The database is away: whether the agent is there, its answer or the end of the wait tells.
        () => undefined,
      );
    }, PRESENCE_MS);
    this.#waiting.set(command.commandId, answered.resolve);
    try {
      const [result] = await Promise.all([answered.promise, this.bus.publish("command", command)]);
      return result;
    } finally {
      clearTimeout(late);
      clearInterval(presence);
      this.#waiting.delete(command.commandId);
    }
  }
}

export const notConnected = (gatewayId: string) =>
  fault("agents/not-connected", "the gateway's agent is not connected", {
    field: "input.gatewayId",
    value: gatewayId,
    expected: "a gateway whose agent is connected",
  });

const noAnswer = (gatewayId: string) =>
  fault("agents/no-answer", `the gateway's agent did not answer within ${ANSWER_MS / 1000} s`, {
    field: "input.gatewayId",
    value: gatewayId,
    expected: "an agent that answers",
  });
