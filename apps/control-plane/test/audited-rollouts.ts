import type { TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import type { MadeSite } from "./fleet.js";

const BY_SITE = "mutation ($input: SetMaintenanceWindowsInput!) { setMaintenanceWindows(input: $input) { id } }";
const POLICY = "mutation ($input: SetRolloutPolicyInput!) { setRolloutPolicy(input: $input) { mode } }";

/** Mutations that say when changes reach gateways, for the table of those that are audited. */
export function rolloutMutations(cp: () => TestControlPlane, world: { readonly hub: MadeSite }) {
  const steer = (name: string, state: string) => async () => {
    const [row] = await query(
      cp().connection,
      `INSERT INTO rollouts (id, organization_id, state, canary, batch_percent, pause_seconds, ack_seconds, gate_seconds)
       SELECT gen_random_uuid(), id, $1::rollout_state, 1, 25, 60, 60, 60 FROM organizations LIMIT 1 RETURNING id`,
      [state],
    );
    await cp().get(`mutation ($id: ID!) { ${name}(id: $id) { id } }`, { id: row?.id });
  };
  return {
    setMaintenanceWindows: () =>
      cp().get(BY_SITE, { input: { siteId: world.hub.site.id, windows: [{ from: "02:00", minutes: 1_440 }] } }),
    setRolloutPolicy: () => cp().get(POLICY, { input: { mode: "STAGED", canaryGatewayIds: [world.hub.gateway.id] } }),
    pauseRollout: steer("pauseRollout", "RUNNING"),
    resumeRollout: steer("resumeRollout", "PAUSED"),
    abortRollout: steer("abortRollout", "PAUSED"),
    retryRollout: async () => {
      await query(
        cp().connection,
        `INSERT INTO intent_revisions (id, organization_id, gateway_id, number, sealed, key_id, hash, schema_version, status)
         SELECT gen_random_uuid(), organization_id, id, 1000000, '', '', 'of what was withdrawn', 1, 'WITHDRAWN'
         FROM gateways WHERE id = $1`,
        [world.hub.gateway.id],
      );
      await steer("retryRollout", "ROLLED_BACK")();
    },
  };
}
