import type { DataPlane } from "@sallyport/dataplane";
import { type ChildIntent, type GatewayIntent, parseProposals } from "@sallyport/intent";
import { fault } from "../faults.js";

/**
 * Refuses an intent that this gateway's data plane could not carry, before anything is touched: a proposal that the kernel lacks
 * would be negotiated and then fail. Throws `agent/unsupported-proposal` with the field and the kernel's word, or `agent/unsupported-mode`.
 */
export async function checkCapabilities(
  intent: GatewayIntent,
  dataPlane: Pick<DataPlane, "capabilities" | "tryAlgorithm">,
): Promise<void> {
  for (const [i, connection] of intent.connections.entries()) {
    for (const [j, child] of connection.children.entries()) {
      const path = `connections[${i}].children[${j}]`;
      checkMode(child, `${path}.mode`, dataPlane);
      checkDontFragment(child, `${path}.dontFragment`, dataPlane);
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

function checkMode(
  { name, mode }: ChildIntent,
  field: string,
  { capabilities }: Pick<DataPlane, "capabilities">,
): void {
  if (mode === "tunnel" || capabilities.transportMode) return;
  throw fault("agent/unsupported-mode", `${name}: the ${capabilities.name} data plane has no ${mode} mode`, {
    field,
    value: mode,
    expected: "tunnel, or a kernel with ESP",
  });
}

function checkDontFragment(
  { name, dontFragment }: ChildIntent,
  field: string,
  { capabilities }: Pick<DataPlane, "capabilities">,
): void {
  if (dontFragment === undefined || capabilities.dontFragment.includes(dontFragment)) return;
  throw fault("agent/unsupported-mode", `${name}: the ${capabilities.name} data plane cannot ${dontFragment} DF`, {
    field,
    value: dontFragment,
    expected: capabilities.dontFragment.join(" or "),
  });
}
