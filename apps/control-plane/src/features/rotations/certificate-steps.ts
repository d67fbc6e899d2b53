import type { GatewayPurpose } from "../certificates/certificate.service.js";
import type { Saga, SagaStep } from "./saga.js";
import type { WaitingCertificates } from "./waiting-certificates.js";

/** What a step does besides what it does to rows, and what confirms it; absent: its commit. */
type Told = Pick<SagaStep, "does"> & Partial<Pick<SagaStep, "waitsFor">>;

interface Own {
  readonly introduce: Told;
  readonly switch: Told;
  readonly prove: Omit<SagaStep, "name">;
  readonly undo: Told;
}

const atOnce = async () => undefined;

/** The steps by which a gateway's certificate for a purpose is replaced. The new one has the id of the rotation's item. */
export function certificateSteps(
  certificates: WaitingCertificates,
  purpose: GatewayPurpose,
  own: Own,
): Pick<Saga, "pivot" | "steps" | "undo"> {
  const row = { impact: "UNTOUCHED", waitsFor: atOnce } as const;
  return {
    pivot: "switch",
    steps: [
      {
        ...{ ...row, ...own.introduce, name: "introduce" },
        perform: (subject, guard) => certificates.issue(subject, purpose, guard),
      },
      {
        ...{ ...row, ...own.switch, name: "switch" },
        perform: (subject, guard) => certificates.switch(subject, purpose, guard),
      },
      { ...own.prove, name: "prove" },
      {
        ...{ ...row, does: "The old certificate is revoked.", name: "retire" },
        perform: (subject, guard) => certificates.revokeOld(subject, purpose, guard),
      },
    ],
    undo: {
      ...{ ...row, ...own.undo, name: "undo" },
      perform: (subject, guard) => certificates.takeBack(subject, guard),
    },
  };
}
