import type { Capabilities } from "@sallyport/dataplane";
import { type GatewayIntent, parseProposals } from "@sallyport/intent";
import { fault } from "../faults.js";

/**
 * Refuses an intent that this gateway's data plane could not carry, before anything is touched: a proposal that the kernel lacks
 * would be negotiated and then fail. Throws `agent/unsupported-proposal` with the field.
 */
export function checkCapabilities(intent: GatewayIntent, can: Capabilities): void {
  intent.connections.forEach((connection, i) => {
    connection.children.forEach((child, j) => {
      child.espProposals.forEach((text, k) => {
        const field = `connections[${i}].children[${j}].espProposals[${k}]`;
        for (const proposal of parseProposals([text], "esp", field)) {
          const cipher = proposal.encryption.find((c) => !can.encryption.includes(c.algorithm));
          const mac = proposal.integrity.find((m) => !can.integrity.includes(m));
          const lacking = cipher?.algorithm ?? mac;
          if (lacking === undefined) continue;
          throw fault("agent/unsupported-proposal", `${child.name}: the ${can.name} data plane has no ${lacking}`, {
            field,
            value: text,
            expected: `algorithms among ${[...can.encryption, ...can.integrity].join(", ")}`,
          });
        }
      });
    });
  });
}
