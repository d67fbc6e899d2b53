import type { HostileClass } from "../guard.ts";
import { AGENT_CLASSES } from "./agent.ts";
import { AGREEMENT } from "./agreement.ts";
import { CERTIFICATES } from "./certificates.ts";
import { EXCHANGE_CLASSES } from "./exchange.ts";
import { TRUST } from "./trust.ts";
import { WIRE_CLASSES } from "./wire.ts";

export const CLASSES: readonly HostileClass[] = [
  ...WIRE_CLASSES,
  ...AGREEMENT,
  ...CERTIFICATES,
  ...EXCHANGE_CLASSES,
  ...TRUST,
  ...AGENT_CLASSES,
].toSorted((a, b) => a.number - b.number);
