/**
 * The bare streams: takes as many agents as come, asks each something that costs neither side anything but the message and its answer,
 * and says when the answers came. Gets its certificate as one line of JSON from standard input, then commands, one a line.
 */
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type AgentMessage, AgentService, ControlMessageSchema } from "@sallyport/contract";

/** What standard input says first. PEM. */
export interface Settings {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

type Body = MessageInitShape<typeof ControlMessageSchema>["body"];

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { key, cert, ca } = JSON.parse((await lines.next()).value as string) as Settings;

const streams = new Set<(body: Body) => void>();
let round = { began: 0, times: [] as number[], done: () => {} };

function take({ body }: AgentMessage, say: (body: Body) => void): void {
  if (body.case === "ping") say({ case: "pong", value: { sequence: body.value.sequence } });
  if (body.case !== "commandResult") return;
  round.times.push(performance.now() - round.began);
  if (round.times.length === streams.size) round.done();
}

async function* stream(messages: AsyncIterable<AgentMessage>) {
  const out: Body[] = [{ case: "welcome", value: { version: "limit", pingIntervalMs: 5_000, sasApart: true } }];
  let wake: () => void = () => {};
  const say = (body: Body) => {
    out.push(body);
    wake();
  };
  streams.add(say);
  void (async () => {
    for await (const message of messages) take(message, say);
  })().catch(() => {});
  try {
    for (;;) {
      for (let body = out.shift(); body; body = out.shift()) yield create(ControlMessageSchema, { body });
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    streams.delete(say);
  }
}

/** Milliseconds from the first question to each answer. */
async function ask(): Promise<number[]> {
  await new Promise<void>((resolve) => {
    round = { began: performance.now(), times: [], done: resolve };
    for (const say of streams) say({ case: "command", value: { id: "echo", action: { case: "rekey", value: {} } } });
  });
  return round.times;
}

const adapter = connectNodeAdapter({ routes: (router) => void router.service(AgentService, { connect: stream }) });
const server = http2.createSecureServer({ key, cert, ca, requestCert: true, minVersion: "TLSv1.3" }, adapter);
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log((server.address() as AddressInfo).port);
for await (const line of lines) console.log(JSON.stringify(line === "ask" ? await ask() : streams.size));
process.exit();
