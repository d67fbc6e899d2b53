import type { DataPlane } from "@sallyport/dataplane";
import { type GatewayIntent, parseProposals } from "@sallyport/intent";
import { fault } from "../faults.js";

/**
 * Refuses an intent that this gateway's data plane could not carry, before anything is touched: a proposal that the kernel lacks
 * would be negotiated and then fail. Throws `agent/unsupported-proposal` with the field and the kernel's word.
 */
export async function checkCapabilities(
  intent: GatewayIntent,
  dataPlane: Pick<DataPlane, "capabilities" | "tryAlgorithm">,
): Promise<void> {
  for (const [i, connection] of intent.connections.entries()) {
    for (const [j, child] of connection.children.entries()) {
      for (const [k, text] of child.espProposals.entries()) {
        const field = `connections[${i}].children[${j}].espProposals[${k}]`;
        const algorithms = parseProposals([text], "esp", field).flatMap((p) => [
          ...p.encryption.map((c) => c.algorithm),
          ...p.integrity,
        ]);
        for (const algorithm of new Set(algorithms)) {
          const refusal = await dataPlane.tryAlgorithm(algorithm);
          if (refusal === undefined) continue;
          const { name } = dataPlane.capabilities;
          throw fault(
            "agent/unsupported-proposal",
            `${child.name}: the ${name} data plane refuses ${algorithm}: ${refusal}`,
            {
              field,
              value: text,
              expected: `a proposal without ${algorithm}`,
              facts: { algorithm, errno: refusal },
            },
          );
        }
      }
    }
  }
}
