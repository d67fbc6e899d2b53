import { fault } from "../faults.js";
import type { ControlHandler } from "./control-socket.js";
import type { Credentials } from "./credentials.js";
import { certificatesText, listSas, proposalFacts, proposalsText, sasLines, traceText } from "./diagnostics.js";
import type { Gateway } from "./gateway.js";
import { Lines } from "./json-pieces.js";
import type { LogBuffer } from "./log.js";
import { type AgentStatus, statusLines } from "./status-text.js";

function text(args: Readonly<Record<string, unknown>>, name: string): string {
  const value = args[name];
  if (typeof value === "string" && value.length <= 256) return value;
  throw fault("agent/bad-option", `${name}: a text is wanted`, {
    field: name,
    value: typeof value,
    expected: "a text",
  });
}

/** What the commands look at. The gateway may be another one from one command to the next. */
export interface LocalView {
  readonly gateway: Gateway;
  readonly state: AgentStatus["state"];
  readonly refusal: AgentStatus["refusal"] | undefined;
  /** The gateway once its intent is in force; rejects when that takes too long. */
  ready(): Promise<Gateway>;
  readonly logs: LogBuffer;
  readonly credentials: Pick<Credentials, "certificates">;
  readonly connected: () => boolean;
}

/** The commands of the control socket (LOG-05). */
export function localCommands(daemon: LocalView): Record<string, ControlHandler> {
  const status = async (): Promise<AgentStatus> => ({
    ...(await daemon.gateway.status()),
    state: daemon.state,
    refusal: daemon.refusal ?? null,
    policies: await daemon.gateway.policies(),
    dataPlane: daemon.gateway.carrier.dataPlane.capabilities.name,
    gateway: daemon.gateway.intent?.gateway ?? null,
    revision: daemon.gateway.intent?.revision ?? 0,
    droppedDatagrams: daemon.gateway.dropped,
    connected: daemon.connected(),
    now: performance.now(),
  });
  const command =
    (action: (gateway: Gateway, tunnel: string, child: string | undefined) => void | Promise<void>): ControlHandler =>
    async (args) => {
      const gateway = await daemon.ready();
      const tunnel = gateway.tunnel(text(args, "tunnel"));
      await action(gateway, tunnel, args.child === undefined ? undefined : text(args, "child"));
      return null;
    };
  return {
    status: async (args) => (args.text === true ? new Lines(statusLines(await status())) : status()),
    proposals: async (args) => {
      const facts = proposalFacts(daemon.gateway.intent);
      return args.text === true ? proposalsText(facts) : facts;
    },
    certs: async (args) => {
      const facts = daemon.credentials.certificates();
      return args.text === true ? certificatesText(facts, Date.now()) : facts;
    },
    sas: async (args) => {
      const sas = await listSas(await daemon.gateway.status(), daemon.gateway.carrier.dataPlane);
      return args.text === true ? new Lines(sasLines(sas)) : sas;
    },
    trace: async (args, stream) => {
      const gateway = await daemon.ready();
      const tunnel = gateway.tunnel(text(args, "tunnel"));
      stream.closed(
        gateway.trace(tunnel, (trace) => {
          for (const line of traceText(trace)) stream.line(line);
        }),
      );
      return undefined;
    },
    up: command((gateway, tunnel, child) => gateway.initiate(tunnel, child)),
    down: command((gateway, tunnel, child) => gateway.terminate(tunnel, child)),
    rekey: command((gateway, tunnel, child) => gateway.rekey(tunnel, child)),
    logs: async (args, stream) => {
      const count = typeof args.lines === "number" ? Math.min(Math.max(0, args.lines), daemon.logs.capacity) : 100;
      for (const line of daemon.logs.tail(count)) stream.line(line);
      if (args.follow !== true) return null;
      stream.closed(daemon.logs.follow((line) => stream.line(line)));
      return undefined;
    },
  };
}
