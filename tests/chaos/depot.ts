import { once } from "node:events";
import { eventually, firstReply, spawnIn } from "@sallyport/testkit";
import type { Fleet } from "../../tools/demo/fleet.ts";
import { Gateway } from "../../tools/demo/gateway.ts";
import {
  CREATE_NETWORK,
  type CreateNetwork,
  type MadeGateway,
  ONBOARD_SITE,
  type OnboardSite,
} from "../../tools/demo/operations.ts";
import { HEADQUARTERS, NS } from "../../tools/demo/world.ts";
import { type Path, statusOf } from "./scenario.js";

const ADDRESS = "10.40.0.1";
export const DEPOT_TO_HEADQUARTERS: Path = { from: NS.laptop, to: HEADQUARTERS.host, source: ADDRESS };

const GATEWAYS = "query gateways { gateways(first: 10) { edges { node { id name identity } } } }";
interface Gateways {
  readonly gateways: { readonly edges: readonly { readonly node: MadeGateway }[] };
}

/** A site whose tunnel to headquarters rests on certificates; it is where the laptop is otherwise, and has no machine but the gateway. */
export async function openDepot(fleet: Fleet, home: string): Promise<Gateway> {
  const { api } = fleet.controlPlane;
  const adding = spawnIn(NS.laptop, "ip", ["address", "add", `${ADDRESS}/32`, "dev", "lo"], { stdio: "ignore" });
  const [{ gateways }] = await Promise.all([api.run<Gateways>(GATEWAYS), once(adding, "exit")]);
  const hub = gateways.edges.find(({ node }) => node.name === "Headquarters")?.node.id;
  const { createNetwork } = await api.run<CreateNetwork>(CREATE_NETWORK, {
    input: { name: "Depots", hubGatewayIds: [hub], authentication: "CERTIFICATE" },
  });
  const { onboardSite } = await api.run<OnboardSite>(ONBOARD_SITE, {
    input: { name: "Depot", subnets: [`${ADDRESS}/32`], gateway: {}, networkId: createNetwork.id },
  });
  const depot = new Gateway({ name: "depot", namespace: NS.laptop, dataPlane: "userspace", home });
  try {
    await depot.enrol(onboardSite.enrolment.command);
    await depot.whileRunning(firstReply(NS.laptop, HEADQUARTERS.host, { source: ADDRESS, timeoutMs: 60_000 }));
  } catch (error) {
    await depot.stop();
    throw error;
  }
  return depot;
}

/** The certificate of headquarters that the depot's one IKE SA rests on, by its SHA-256; another one than `before`. */
export function provenBy(depot: Gateway, before = ""): Promise<string> {
  return eventually(
    "the depot has one IKE SA, by another certificate",
    async () => {
      const sas = (await statusOf(depot)).peers[0]?.sas.filter((sa) => sa.state === "established") ?? [];
      const [keyId] = sas.map((sa) => sa.keyId);
      return sas.length === 1 && keyId && keyId !== before ? keyId : undefined;
    },
    40_000,
  );
}

const ROTATE = "mutation rotate($ids: [ID!]!) { rotateGatewayCertificates(input: { gatewayIds: $ids }) { id } }";
const ROTATION = `query rotation($id: ID!) { rotation(id: $id) { state failure
  items(first: 10) { edges { node { name state step waitingFor } } } } }`;
interface Rotation {
  readonly rotation: { readonly state: string; readonly failure: string | null; readonly items: object };
}

/** Rotates the certificate of headquarters; `midway` is done when that has begun. */
export async function rotateHeadquarters(fleet: Fleet, midway: () => Promise<void>): Promise<void> {
  const { api } = fleet.controlPlane;
  const { gateways } = await api.run<Gateways>(GATEWAYS);
  const ids = gateways.edges.flatMap(({ node }) => (node.name === "Headquarters" ? [node.id] : []));
  const made = await api.run<{ rotateGatewayCertificates: { id: string } }>(ROTATE, { ids });
  await midway();
  await eventually(
    "the certificate is rotated",
    async () => {
      const { rotation } = await api.run<Rotation>(ROTATION, made.rotateGatewayCertificates);
      if (rotation.state !== "DONE") throw new Error(`it is ${JSON.stringify(rotation)}`);
      return true;
    },
    90_000,
  );
}
