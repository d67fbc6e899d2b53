import { parseArgs } from "node:util";

export interface DemoOptions {
  readonly dataPlane: "userspace" | "kernel";
  /** Run once, check, take down, print the JSON line. */
  readonly check: boolean;
  /** Set by the demo itself when it runs inside a guest kernel. */
  readonly guest: boolean;
}

export const USAGE = `npm run demo [-- OPTION...]

  --check                  run once, check it, take it down, end with one line of JSON
  --data-plane userspace   ESP in our own process, over a TUN device (default)
  --data-plane kernel      ESP in the Linux kernel: this machine's, or a User Mode Linux guest's when it has none
  --help                   this text`;

/** Throws an `Error` in plain words for an option that does not exist. */
export function readOptions(args: readonly string[]): DemoOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      check: { type: "boolean", default: false },
      guest: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      "data-plane": { type: "string", default: "userspace" },
    },
  });
  if (values.help) return "help";
  const dataPlane = values["data-plane"];
  if (dataPlane !== "userspace" && dataPlane !== "kernel") {
    throw new Error(`there is no data plane "${dataPlane}": it is userspace or kernel`);
  }
  return { dataPlane, check: values.check, guest: values.guest };
}
