// Runs in a guest whose kernel has ESP: a fleet on the kernel data plane meets crashes and refusals. Prints one line of JSON.
import { writeFile } from "node:fs/promises";
import { eventually } from "@sallyport/testkit";
import { Fleet } from "../../tools/demo/fleet.ts";
import type { Gateway } from "../../tools/demo/gateway.ts";
import { ADD_EXTERNAL_PEER } from "../../tools/demo/operations.ts";
import {
  BRANCH_TO_HEADQUARTERS,
  branchSpis,
  HEADQUARTERS_TO_PARTNER,
  type Path,
  rekeyBranch,
  statusOf,
  underTraffic,
} from "./scenario.ts";

const fleet = new Fleet({ home: "/tmp/sallyport-chaos", dataPlane: "kernel", port: 8440, agentsPort: 8441 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The kernel loads ciphers when they are asked for, by this program; from now on it finds none of this kind. */
async function forgetChaCha(): Promise<void> {
  const refusing =
    '#!/bin/sh\ncase "$*" in *chacha*|*rfc7539*) exit 1;; esac\nexec /sbin/modprobe -d /run/modules "$@"\n';
  await writeFile("/run/modprobe", refusing, { mode: 0o755 });
}

const ikeOfBranch = async () => (await branchSpis(fleet)).ike;
const ikeOfPartner = () =>
  eventually("the partner has one tunnel", async () => {
    const [sa, ...more] = (await fleet.partner.listSas()).filter((s) => s.state === "ESTABLISHED");
    return sa && more.length === 0 && sa.children.some((c) => c.state === "INSTALLED") ? sa.initiatorSpi : undefined;
  });

/**
 * Ends an agent under traffic through `path`, by a crash or in order, leaves the kernel alone for a while, and starts the agent
 * again until the tunnel that it calls for is a new one.
 */
async function restart(gateway: Gateway, how: "kill" | "end", path: Path, ikeSpi: () => Promise<string>) {
  const before = await ikeSpi();
  const alone = await underTraffic(async () => {
    await gateway[how]();
    await pause(2_000);
  }, path);
  const takeOver = await underTraffic(async () => {
    await gateway.run();
    await eventually("the agent is back", async () => (await statusOf(gateway)).connected || undefined, 60_000);
    await eventually("the tunnel is new", async () => (await ikeSpi()) !== before || undefined, 60_000);
  }, path);
  return { alone, takeOver };
}

const REVISIONS = `query revisions($gatewayId: ID!) {
  intentRevisions(first: 1, filter: { gatewayId: $gatewayId }) {
    edges { node { number status nack { code reason field value expected } } }
  }
  gateway(id: $gatewayId) { ackedRevision }
}`;
interface Revisions {
  readonly intentRevisions: { readonly edges: readonly { readonly node: { readonly status: string } }[] };
  readonly gateway: { readonly ackedRevision: number };
}
const GATEWAYS = "query gateways { gateways { edges { node { id name } } } }";
interface Gateways {
  readonly gateways: { readonly edges: readonly { readonly node: { readonly id: string; readonly name: string } }[] };
}

/** Asks for a cipher that the kernel has not. */
async function refusal() {
  const { api } = fleet.controlPlane;
  const { gateways } = await api.run<Gateways>(GATEWAYS);
  const gatewayId = gateways.edges.find((e) => e.node.name === "Headquarters")?.node.id;
  const before = await api.run<Revisions>(REVISIONS, { gatewayId });
  let after: Revisions | undefined;
  const traffic = await underTraffic(async () => {
    await api.run(ADD_EXTERNAL_PEER, {
      input: {
        name: "Modern",
        gatewayId,
        host: "192.0.2.77",
        remoteIdentity: "modern.example",
        preSharedKey: "newer than our kernel",
        subnets: ["10.98.0.0/24"],
        espProposals: ["chacha20poly1305-x25519"],
      },
    });
    after = await eventually("the revision is answered", async () => {
      const now = await api.run<Revisions>(REVISIONS, { gatewayId });
      const status = now.intentRevisions.edges[0]?.node.status;
      return status === "PENDING" || status === "PUSHED" || status === "ACKED" ? undefined : now;
    });
  });
  const { revision } = (await statusOf(fleet.headquarters)) as unknown as { revision: number };
  return { before: before.gateway.ackedRevision, running: revision, after, traffic };
}

let report: unknown;
try {
  await forgetChaCha();
  await fleet.startControlPlane();
  await fleet.layOut();
  await fleet.createHeadquarters();
  await fleet.onboardBranch();
  await fleet.addPartner();
  await fleet.healthy(2);
  report = {
    branch: await restart(fleet.branch, "kill", BRANCH_TO_HEADQUARTERS, ikeOfBranch),
    rekeyed: await underTraffic(() => rekeyBranch(fleet)),
    headquarters: await restart(fleet.headquarters, "kill", HEADQUARTERS_TO_PARTNER, ikeOfPartner),
    upgrade: await restart(fleet.branch, "end", BRANCH_TO_HEADQUARTERS, ikeOfBranch),
    refusal: await refusal(),
  };
} catch (error) {
  report = { failed: error instanceof Error ? `${error.message}: ${error.cause ?? ""}` : String(error) };
  for (const gateway of [fleet.headquarters, fleet.branch]) console.log((await gateway.log()).slice(-8000));
}
console.log(`left behind: ${JSON.stringify(await fleet.close())}`);
console.log(JSON.stringify(report));
process.exit(0);
