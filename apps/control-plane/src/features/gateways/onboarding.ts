import type { Gateway } from "../../platform/prisma/generated/client.js";
import type { OnboardingStep } from "./gateway.types.js";

/** The steps of a gateway's onboarding with their times, in order. */
export function onboardingSteps(gateway: Gateway): OnboardingStep[] {
  const steps: readonly (readonly [string, Date | null])[] = [
    ["described", gateway.createdAt],
    ["enrolled", gateway.enrolledAt],
    ["connected", gateway.firstConnectedAt],
    ["configured", gateway.firstAckedAt],
    ["tunnelUp", gateway.firstTunnelUpAt],
  ];
  return steps.map(([name, at]) => ({ name, done: at !== null, at }));
}

/** Whether the agent's stream is open, as far as is known. */
export function isConnected({ connectedAt, disconnectedAt }: Gateway): boolean {
  return connectedAt !== null && (disconnectedAt === null || disconnectedAt < connectedAt);
}
