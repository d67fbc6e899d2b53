import { runInUml } from "@sallyport/testkit";
import { ROOT, resultsOf, tell } from "./results.js";

/** The suite against a real kernel with ESP, User Mode Linux. Needs root, its Debian package, and the compiled libraries. */
const outcome = await resultsOf("kernel", async (command, scratch) => {
  const guest = await runInUml(command, { directory: ROOT, writable: [scratch], timeoutMs: 480_000 });
  return `status ${guest.status}\n${guest.output}\n${guest.console}`;
});

tell("kernel data plane", outcome);
