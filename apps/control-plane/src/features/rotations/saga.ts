import type { Tx } from "../../platform/database/database.js";
import type { RotationItem } from "../../platform/prisma/generated/client.js";
import type { RotationKind } from "../../platform/prisma/generated/enums.js";

/** What a step does to traffic: nothing, new SAs beside the old, tunnels negotiated anew, or tunnels that go. */
export type StepImpact = "UNTOUCHED" | "REKEYED" | "RE_ESTABLISHED" | "DROPPED";

/** What is rotated, and as which item of which rotation. */
export type Subject = Pick<RotationItem, "id" | "organizationId" | "rotationId" | "subjectId" | "name">;

/**
 * Called inside the transaction that carries a step out, before it changes anything: it holds the rotation until the commit and throws
 * `rotation/overtaken` when the item is not at this step any more or, up to the switch, the rotation was paused or aborted.
 */
export type Guard = (tx: Tx) => Promise<void>;

/** One row of a saga's table. */
export interface SagaStep {
  readonly name: string;
  /** For people. */
  readonly does: string;
  readonly impact: StepImpact;
  /** Seconds after which it is carried out again while it is not confirmed; absent: once is enough. */
  readonly repeat?: number;
  /** It lasts as long as the rotation that it consists of, which has its own patience. */
  readonly lasting?: true;
  /**
   * Carries it out. It may have been carried out before: who did may not have lived to tell. A `Fault` that may be tried again is waited
   * for, another one stops the rotation.
   */
  perform(subject: Subject, guard: Guard): Promise<void>;
  /** What its confirmation still waits for, in words; undefined: it is confirmed. Throws a `Fault` when it cannot come. */
  waitsFor(subject: Subject): Promise<string | undefined>;
}

/** Make before break: the new beside the old, both ends confirm, switch, confirm, retire the old. */
export interface Saga {
  readonly kind: RotationKind;
  readonly steps: readonly [SagaStep, ...SagaStep[]];
  /** Name of the step that switches: what an abort finds before it is undone, after it is finished. */
  readonly pivot: string;
  /** Takes back what the steps before the switch have made. */
  readonly undo: SagaStep;
  /**
   * The gateways whose tunnels the steps touch, by the subject's id: without a window of its own, an item begins in those of their
   * sites. Absent: no tunnels are touched.
   */
  gateways?(organizationId: string, subjectIds: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Names of the tunnels that the steps' impact is about. */
  tunnels(subject: Subject): Promise<readonly string[]>;
  /** Whether the item is switched, by what was committed. */
  isSwitched(subject: Subject): Promise<boolean>;
}

export function stepOf({ steps, undo }: Saga, name: string): SagaStep {
  return [...steps, undo].find((step) => step.name === name) ?? steps[0];
}

/** Undefined after the last one, and after the undoing. */
export function stepAfter({ steps }: Saga, name: string): SagaStep | undefined {
  const at = steps.findIndex((step) => step.name === name);
  return at < 0 ? undefined : steps[at + 1];
}

/** Up to the switch itself, operators may hold a step back. */
export function isHeldBack({ steps, pivot }: Saga, name: string): boolean {
  const at = steps.findIndex((step) => step.name === name);
  return at >= 0 && at <= steps.findIndex((step) => step.name === pivot);
}
