import { fromBinary } from "@bufbuild/protobuf";
import { type AgentMessage, AgentMessageSchema, ControlMessageSchema, decodeToken } from "@sallyport/contract";
import { parseIntent } from "@sallyport/intent";
import {
  agentEvent,
  commandProblem,
  counterReport,
  tunnelReport,
} from "../../../apps/control-plane/src/features/agents/report-mapping.ts";
import { FuzzInput, holds, total } from "./input.ts";

const NOW = new Date(1_893_456_000_000);
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u;

/** The library refuses what is no message; that its exception is none of ours is no finding. */
function read<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/** Of everything that a row is made of: texts that any database takes, dates that are dates. */
function storable(value: unknown): void {
  if (typeof value === "string") holds(!UNSAFE.test(value), () => `stored: ${JSON.stringify(value)}`);
  else if (value instanceof Date) holds(!Number.isNaN(value.getTime()), () => "no date");
  else if (Array.isArray(value)) for (const one of value) storable(one);
  else if (typeof value === "object" && value !== null) {
    for (const [key, one] of Object.entries(value)) {
      storable(key);
      storable(one);
    }
  }
}

function report({ body }: AgentMessage): void {
  switch (body.case) {
    case "state":
      for (const state of body.value.tunnels) storable(tunnelReport(state, NOW));
      return;
    case "counters":
      for (const child of body.value.children) storable(counterReport(child));
      return;
    case "events":
      for (const event of body.value.events) storable(agentEvent(event, NOW));
      return;
    case "commandResult":
      storable(commandProblem(body.value.problem));
      return;
  }
}

/** What an agent that has been taken over sends its control plane, what comes the other way, and an enrolment token. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const kind = input.u8() % 3;
  const octets = input.rest();
  if (kind === 0) {
    const message = read(() => fromBinary(AgentMessageSchema, octets));
    if (message) report(message);
  } else if (kind === 1) {
    const message = read(() => fromBinary(ControlMessageSchema, octets))?.body;
    if (message?.case === "intent") total(() => parseIntent(new TextDecoder().decode(message.value.body)));
  } else {
    total(() => decodeToken(new TextDecoder().decode(octets)));
  }
}
