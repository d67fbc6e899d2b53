import type { TestControlPlane } from "./control-plane.js";
import type { MadeSite } from "./fleet.js";

const BY_SITE = "mutation ($input: SetMaintenanceWindowsInput!) { setMaintenanceWindows(input: $input) { id } }";

/** Mutations that say when changes reach gateways, for the table of those that are audited. */
export const rolloutMutations = (cp: () => TestControlPlane, world: { readonly hub: MadeSite }) => ({
  setMaintenanceWindows: () =>
    cp().get(BY_SITE, { input: { siteId: world.hub.site.id, windows: [{ from: "02:00", minutes: 1_440 }] } }),
});
