import { pathToFileURL } from "node:url";
import type { IpAddress } from "@sallyport/base";
import { answerEchoes, echo } from "./echo.js";
import type { GatewayModule, GatewayPlace } from "./gateway-module.js";
import { serve } from "./rpc.js";

const [moduleFile = "", place = "{}"] = process.argv.slice(2);
const { openGateway } = (await import(pathToFileURL(moduleFile).href)) as GatewayModule;
const { dataPlane, foreign, ike } = await openGateway(JSON.parse(place) as GatewayPlace);
const names = [
  ...["adopt", "allocateSpi", "installSa", "moveSa", "removeSa", "querySa", "listSas"],
  ...["installPolicy", "removePolicy", "listPolicies", "installRoute", "removeRoute", "installAddress"],
  ...["removeAddress", "installSourceNat", "removeSourceNat", "statistics", "flush", "close"],
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
  hasIke: () => ike !== undefined,
  ike: (to: IpAddress) => ike?.(to) ?? false,
  foreignAdd: () => foreign?.add(),
  foreignCount: () => foreign?.count() ?? 0,
  foreignRemove: () => foreign?.remove(),
});
dataPlane.listen((event) => notify(event));
