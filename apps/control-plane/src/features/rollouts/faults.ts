import { faultTable } from "@sallyport/base";

export const fault = faultTable({
  /** What an operator asks for does not fit the state that the rollout is in. */
  "rollout/wrong-state": { retry: false, expose: true },
  /** Nothing was withdrawn, undone or refused. */
  "rollout/nothing-to-retry": { retry: false, expose: true },
});

/** Why a rollout is rolled back. */
export type FailureCode =
  | "rollout/refused"
  | "rollout/reverted"
  | "rollout/not-acknowledged"
  | "rollout/tunnel-down"
  | "rollout/aborted"
  | "rollout/former-rolled-back";

export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
  readonly gatewayId?: string;
  readonly tunnelId?: string;
  readonly facts?: Readonly<Record<string, string>>;
}
