import { faultTable } from "@sallyport/base";

/** Faults of changes in DNS zones. No key, and nothing that a program printed, is ever part of one. */
export const fault = faultTable({
  /** No zone is described that a name is in. */
  "dns/no-zone": { retry: false, expose: true },
  /** No connection to a name server, or no answer in time. */
  "dns/unreachable": { retry: true, expose: true },
  /** A server that knows the key refuses the change for good. */
  "dns/refused": { retry: false, expose: true },
  /** A server says that something of its own is wrong, or does not have the zone. */
  "dns/server-failed": { retry: true, expose: true },
  /** A name server does not show a record yet. */
  "dns/not-shown": { retry: true, expose: true },
  /** This replica has no program of that name, or may not run it. */
  "dns/no-such-program": { retry: false, expose: true },
  /** A program ended with an error, or did not end. */
  "dns/program-failed": { retry: true, expose: true },
});
