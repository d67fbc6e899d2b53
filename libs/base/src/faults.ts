import { faultTable } from "./fault.js";

/** Faults of this library. */
export const fault = faultTable({
  "base/truncated": { retry: false, expose: true },
  "base/trailing": { retry: false, expose: true },
  "base/bad-length": { retry: false, expose: true },
  "base/bad-address": { retry: false, expose: true },
  "base/bad-prefix": { retry: false, expose: true },
});
