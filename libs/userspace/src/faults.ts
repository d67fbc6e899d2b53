import { type Fault, faultTable, isFault } from "@sallyport/base";

/** Faults of this library, in the area of the port that it implements. */
export const fault = faultTable({
  "dataplane/refused": { retry: false, expose: true },
  "dataplane/unsupported": { retry: false, expose: true },
  "dataplane/failed": { retry: true, expose: false },
  "dataplane/closed": { retry: false, expose: false },
});

/** A refusal of the kernel in the port's own terms: `field` is what the refused entry was made from. */
export function translated(error: unknown, field: string): Fault {
  if (!isFault(error)) throw error;
  if (error.code !== "linux-io/netlink-refused") return fault("dataplane/failed", error.message, { cause: error });
  const { value = "EINVAL", facts } = error;
  return fault("dataplane/refused", error.message, { field, value, facts, cause: error });
}
