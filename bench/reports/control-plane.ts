/**
 * As much of a control plane as an agent's reports need: welcomes it, answers its pings, and reads. Gets its certificate as one line of
 * JSON from standard input, then commands, one a line, each answered with a line.
 */
import { once } from "node:events";
import http2 from "node:http2";
import { createInterface } from "node:readline";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type AgentMessage,
  AgentMessageSchema,
  AgentService,
  ControlMessageSchema,
  type StateReport,
} from "@sallyport/contract";

/** What standard input says first. PEM. */
export interface Settings {
  readonly address: string;
  readonly port: number;
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** Since the last time: messages, octets in all and of the largest one. And the IKE SAs that were told and are not gone. */
export interface Heard {
  readonly messages: number;
  readonly octets: number;
  readonly largest: number;
  readonly completed: number;
  readonly sas: number;
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { address, port, key, cert, ca } = JSON.parse((await lines.next()).value as string) as Settings;

const sas = new Set<string>();
const none = { messages: 0, octets: 0, largest: 0, completed: 0 };
let heard = none;
let completing = false;
let say: (body: MessageInitShape<typeof ControlMessageSchema>["body"]) => void = () => {};
let hangUp: () => void = () => {};

function read(report: StateReport): void {
  if (report.complete) {
    sas.clear();
    completing = true;
  }
  for (const { tunnelId, sa } of report.ikeSas) sas.add(`${tunnelId} ${sa?.initiatorSpi} ${sa?.responderSpi}`);
  for (const gone of report.removedIkeSas) sas.delete(`${gone.tunnelId} ${gone.initiatorSpi} ${gone.responderSpi}`);
  if (completing && !report.more) {
    heard = { ...heard, completed: heard.completed + 1 };
    completing = false;
  }
}

function take(message: AgentMessage): void {
  const { body } = message;
  const octets = toBinary(AgentMessageSchema, message).length;
  const { messages, largest } = heard;
  heard = { ...heard, messages: messages + 1, octets: heard.octets + octets, largest: Math.max(largest, octets) };
  if (body.case === "state") read(body.value);
  else if (body.case === "ping") say({ case: "pong", value: { sequence: body.value.sequence } });
}

async function* stream(messages: AsyncIterable<AgentMessage>) {
  const out: MessageInitShape<typeof ControlMessageSchema>["body"][] = [];
  let wake: () => void = () => {};
  let open = true;
  say = (body) => {
    out.push(body);
    wake();
  };
  hangUp = () => {
    open = false;
    wake();
  };
  say({ case: "welcome", value: { version: "bench", pingIntervalMs: 5_000, sasApart: true } });
  void (async () => {
    for await (const message of messages) take(message);
  })().catch(() => {});
  while (open) {
    for (let body = out.shift(); body; body = out.shift()) yield create(ControlMessageSchema, { body });
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

const adapter = connectNodeAdapter({ routes: (router) => void router.service(AgentService, { connect: stream }) });
const server = http2.createSecureServer({ key, cert, ca, requestCert: true, minVersion: "TLSv1.3" }, adapter);
server.listen(port, address);
await once(server, "listening");

const COMMANDS: Readonly<Record<string, () => unknown>> = {
  heard(): Heard {
    const all = { ...heard, sas: sas.size };
    heard = none;
    return all;
  },
  sas: () => sas.size,
  completed: () => heard.completed,
  resync: () => say({ case: "resync", value: {} }),
  hangUp: () => hangUp(),
};

console.log("ready");
for await (const line of lines) console.log(JSON.stringify(COMMANDS[line]?.() ?? null));
process.exit();
