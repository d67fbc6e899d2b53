import { readRequest } from "../../../apps/agent/src/daemon/control-socket.ts";
import { holds, total } from "./input.ts";

/** A line on the agent's control socket. */
export function fuzz(data: Uint8Array): void {
  const request = total(() => readRequest(new TextDecoder().decode(data)));
  if (!request) return;
  holds(typeof request.command === "string", () => "a command that is no text");
  holds(!Object.hasOwn(request.args, "command"), () => "the command is among its arguments");
  holds(Object.getPrototypeOf(request.args) === Object.prototype, () => "arguments with a prototype of the client's");
  JSON.stringify(request);
}
