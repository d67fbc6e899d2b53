import { randomUUID } from "node:crypto";
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from "@nestjs/common";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkUuid } from "../../platform/input.js";
import type { Tunnel, TunnelEnd } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { TunnelService } from "../tunnels/tunnel.service.js";
import { fault } from "./faults.js";
import { SessionStore } from "./session.store.js";

export interface TunnelCommand {
  readonly tunnelId: string;
  /** Absent: the end that calls first. */
  readonly gatewayId?: string | null | undefined;
  /** Absent: the whole tunnel; to rekey, its IKE SA. */
  readonly childId?: string | null | undefined;
}

type Action = Message<"command">["action"];
type Problem = Message<"commandResult">["problem"];

const ANSWER_MS = 10_000;
/** How often it is looked whether the agent that has to answer is still there. */
const PRESENCE_MS = 500;
const MAX_CHILD_ID = 200;

/** Operators' commands to agents, through whichever replica holds the agent's stream. */
@Injectable()
export class TunnelCommands implements OnModuleInit, OnApplicationShutdown {
  readonly #waiting = new Map<string, (problem: Problem) => void>();
  #stopListening: (() => void) | undefined;

  constructor(
    private readonly database: Database,
    private readonly bus: WakeUpBus,
    private readonly tunnels: TunnelService,
    private readonly sessions: SessionStore,
    private readonly audit: AuditService,
  ) {}

  onModuleInit(): void {
    this.#stopListening = this.bus.subscribe("commandResult", ({ commandId, problem }) =>
      this.#waiting.get(commandId)?.(problem),
    );
  }

  onApplicationShutdown(): void {
    this.#stopListening?.();
  }

  /**
   * Resolves when the agent has carried the command out: what comes of it, the tunnel's state tells.
   * @throws agents/not-connected, agents/no-answer, agents/command-refused
   */
  async give(context: TenantContext, mutation: string, action: Action, input: TunnelCommand): Promise<Tunnel> {
    const { organizationId } = context;
    const { tunnel, end } = await this.#find(context, input);
    const childId = input.childId ?? "";
    if (childId.length > MAX_CHILD_ID) {
      throw apiFault("api/bad-input", "not the name of a CHILD SA", {
        field: "input.childId",
        value: childId.slice(0, MAX_CHILD_ID),
        expected: "the name of one of the tunnel's CHILD SAs",
      });
    }
    const { gatewayId } = end;
    const gateway = { gatewayId, organizationId };
    if ((await this.sessions.current(gateway)) === undefined) throw notConnected(gatewayId);
    await this.database.transaction((tx) =>
      this.audit.record(tx, context, {
        action: mutation,
        target: { kind: "tunnel", id: tunnel.id },
        after: { tunnel: tunnel.name, gatewayId, childId },
      }),
    );
    const command = { commandId: randomUUID(), gatewayId, action, tunnelKey: tunnel.key, childId };
    const problem = await this.#ask(command, () => this.sessions.current(gateway));
    if (problem === undefined) return (await this.tunnels.get(context, tunnel.id)) ?? tunnel;
    if (problem.code === "agents/not-connected") throw notConnected(gatewayId);
    const { code: reason, message, field, value, expected } = problem;
    throw fault("agents/command-refused", message, {
      ...(field === undefined ? {} : { field }),
      ...(value === undefined ? {} : { value }),
      ...(expected === undefined ? {} : { expected }),
      facts: { reason },
    });
  }

  async #find(context: TenantContext, input: TunnelCommand): Promise<{ tunnel: Tunnel; end: TunnelEnd }> {
    const id = checkUuid(input.tunnelId, "input.tunnelId");
    const tunnel = await this.tunnels.get(context, id);
    if (tunnel === null) {
      throw apiFault("api/not-found", "there is no such tunnel", {
        field: "input.tunnelId",
        value: id,
        expected: "the id of a tunnel",
      });
    }
    const gatewayId = input.gatewayId ? checkUuid(input.gatewayId, "input.gatewayId") : tunnel.leftGatewayId;
    const ends = (await this.tunnels.ends(context, [id])).get(id) ?? [];
    const end = ends.find((e) => e.gatewayId === gatewayId);
    if (end) return { tunnel, end };
    throw apiFault("api/not-found", `${tunnel.name} has no such end`, {
      field: "input.gatewayId",
      value: gatewayId,
      expected: "the id of a gateway at one of the tunnel's ends",
    });
  }

  /** A stream may end before the command is at its replica: then nobody answers, and the session's absence has to tell. */
  async #ask(command: Message<"command">, session: () => Promise<string | undefined>): Promise<Problem> {
    const { gatewayId } = command;
    const answered = Promise.withResolvers<Problem>();
    const late = setTimeout(() => answered.reject(noAnswer(gatewayId)), ANSWER_MS);
    const presence = setInterval(() => {
      session().then(
        (id) => id === undefined && answered.reject(notConnected(gatewayId)),
        // The database is away: whether the agent is there, its answer or the end of the wait tells.
        () => undefined,
      );
    }, PRESENCE_MS);
    this.#waiting.set(command.commandId, answered.resolve);
    try {
      const [problem] = await Promise.all([answered.promise, this.bus.publish("command", command)]);
      return problem;
    } finally {
      clearTimeout(late);
      clearInterval(presence);
      this.#waiting.delete(command.commandId);
    }
  }
}

const notConnected = (gatewayId: string) =>
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
