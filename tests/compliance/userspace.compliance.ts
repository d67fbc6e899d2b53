import { execFile } from "node:child_process";
import { ROOT, resultsOf, tell } from "./results.js";

/** The suite against ESP over TUN and UDP, in namespaces of this machine. Needs root and the compiled libraries. */
const outcome = await resultsOf(
  "userspace",
  ([command = "", ...values]) =>
    new Promise((resolve) => {
      const limits = { cwd: ROOT, timeout: 480_000, maxBuffer: 64 << 20 };
      execFile(command, values, limits, (error, out, err) => resolve(`${error?.message ?? ""}\n${out}\n${err}`));
    }),
);

tell("userspace data plane", outcome);
