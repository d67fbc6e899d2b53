import { faultTable } from "@sallyport/base";

/** Faults of the agent's composition root. */
export const fault = faultTable({
  "agent/bad-request": { retry: false, expose: true },
  "agent/unknown-command": { retry: false, expose: true },
  "agent/not-running": { retry: true, expose: true },
  "agent/starting": { retry: true, expose: true },
  "agent/refused": { retry: false, expose: true },
  "agent/not-enrolled": { retry: false, expose: true },
  "agent/unknown-tunnel": { retry: false, expose: true },
  "agent/unsupported-mode": { retry: false, expose: true },
  "agent/unsupported-proposal": { retry: false, expose: true },
  "agent/unresolvable-host": { retry: true, expose: true },
  "agent/no-route": { retry: true, expose: true },
  "agent/no-data-plane": { retry: false, expose: true },
  "agent/data-plane-refused": { retry: false, expose: true },
  "agent/no-key": { retry: false, expose: true },
  "agent/no-certificate": { retry: false, expose: true },
  "agent/bad-option": { retry: false, expose: true },
  "agent/ports-unavailable": { retry: true, expose: true },
  "agent/tls": { retry: false, expose: true },
  "agent/overloaded": { retry: true, expose: true },
  "agent/fetch-failed": { retry: true, expose: true },
  "agent/already-running": { retry: false, expose: true },
});
