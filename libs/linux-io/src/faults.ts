import { faultTable } from "@sallyport/base";

/** Faults of this library. `value` holds the errno's name where a system call was refused, `facts.syscall` the call. */
export const fault = faultTable({
  "linux-io/addon-missing": { retry: false, expose: false },
  "linux-io/system-call": { retry: true, expose: false },
  "linux-io/listener-failed": { retry: false, expose: false },
  "linux-io/bad-argument": { retry: false, expose: false },
  "linux-io/closed": { retry: false, expose: false },
  "linux-io/netlink-refused": { retry: true, expose: false },
  "linux-io/netlink-overrun": { retry: true, expose: false },
  "linux-io/nat-refused": { retry: false, expose: true },
  "linux-io/netlink-malformed": { retry: false, expose: false },
});
