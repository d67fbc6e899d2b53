import { pathToFileURL } from "node:url";
import type { DataPlane } from "@sallyport/dataplane";
import { answerEchoes, echo } from "./echo.js";
import { serve } from "./rpc.js";

/** What a module names as its way to open a data plane in the process's own namespace. */
export interface GatewayModule {
  openGateway(options: GatewayPlace): Promise<OpenedGateway>;
}

/** Where the gateway is. Addresses are text. */
export interface GatewayPlace {
  readonly name: "left" | "right";
  readonly outer: readonly string[];
}

export interface OpenedGateway {
  readonly dataPlane: DataPlane;
  /** Entries of another program beside ours. */
  readonly foreign?: { add(): Promise<void>; count(): Promise<number>; remove(): Promise<void> };
}

const [moduleFile = "", place = "{}"] = process.argv.slice(2);
const { openGateway } = (await import(pathToFileURL(moduleFile).href)) as GatewayModule;
const { dataPlane, foreign } = await openGateway(JSON.parse(place) as GatewayPlace);
const names = [
  ...["adopt", "allocateSpi", "installSa", "moveSa", "removeSa", "querySa", "listSas"],
  ...["installPolicy", "removePolicy", "listPolicies", "installRoute", "removeRoute", "installAddress"],
  ...["removeAddress", "statistics", "flush", "close"],
] as const;
type Plain = (...values: never[]) => unknown;
const methods = names.map((name) => {
  const method = (dataPlane as unknown as Record<string, Plain>)[name] as Plain;
  return [name, (...values: never[]) => method.apply(dataPlane, values)] as const;
});
answerEchoes();
const notify = serve({
  echo,
  ...Object.fromEntries(methods),
  capabilities: () => dataPlane.capabilities,
  hasForeign: () => foreign !== undefined,
  foreignAdd: () => foreign?.add(),
  foreignCount: () => foreign?.count() ?? 0,
  foreignRemove: () => foreign?.remove(),
});
dataPlane.listen((event) => notify(event));
