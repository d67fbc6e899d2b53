/** What the adapter of the kernel keeps in memory of every SA, policy and route, and no kernel. */
import { randomInt } from "node:crypto";
import type { Capabilities, DataPlane, PolicySpec, SaId, SaSpec, SaState } from "@sallyport/dataplane";

/** The adapter's own classes, compiled; its index gives the whole adapter only. */
const [{ Registry }, { OptionalPolicies }] = (await Promise.all(
  ["registry", "optional-policies"].map(
    (name) => import(new URL(`../../libs/xfrm/dist/${name}.js`, import.meta.url).href),
  ),
)) as [typeof import("../../libs/xfrm/src/registry.ts"), typeof import("../../libs/xfrm/src/optional-policies.ts")];

const CAPABILITIES: Capabilities = {
  name: "kernel",
  forcesEncapsulation: false,
  ah: false,
  transportMode: true,
  dontFragment: ["copy"],
  encryption: ["aes-gcm-16"],
  integrity: [],
  maxReplayWindow: 4096,
};

const keyOf = ({ protocol, spi, destination }: SaId) => [protocol, spi, destination].join(" ");
const unused = async () => {};

/** As `KernelDataPlane`, with an answer in the place of each request to the kernel. */
export function openBooks(): DataPlane {
  const registry = new Registry(() => performance.now());
  const optional = new OptionalPolicies();
  return {
    capabilities: CAPABILITIES,
    tryAlgorithm: async () => undefined,
    adopt: async () => ({ sas: [], policies: [], addresses: [] }),
    async allocateSpi({ destination, protocol }) {
      const spi = randomInt(0x1000, 2 ** 32);
      registry.reserve({ destination, protocol, spi });
      return spi;
    },
    async installSa(sa: SaSpec) {
      registry.add(sa, sa.reqid, sa.direction);
      optional.added(keyOf(sa), sa);
    },
    moveSa: unused,
    async removeSa(id: SaId) {
      registry.delete(id);
      optional.removed(keyOf(id));
    },
    querySa: async () => undefined,
    listSas: async (): Promise<SaState[]> => [],
    async installPolicy(policy: PolicySpec) {
      if (OptionalPolicies.applies(policy)) optional.set(policy);
    },
    removePolicy: unused,
    listPolicies: async () => [],
    installRoute: unused,
    removeRoute: unused,
    installAddress: unused,
    removeAddress: unused,
    installSourceNat: unused,
    removeSourceNat: unused,
    listen: () => {},
    statistics: async () => ({}),
    flush: unused,
    close: unused,
  };
}
