import type { TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import type { MadeSite } from "./fleet.js";

const BY_SITE = "mutation ($input: SetMaintenanceWindowsInput!) { setMaintenanceWindows(input: $input) { id } }";
const POLICY = "mutation ($input: SetRolloutPolicyInput!) { setRolloutPolicy(input: $input) { mode } }";

/** Mutations about changes that reach gateways and alerts that come of them, for the table of those that are audited. */
export const fleetMutations = (cp: () => TestControlPlane, world: { readonly hub: MadeSite }) => ({
  ...rolloutMutations(cp, world),
  ...alertMutations(cp),
});

function rolloutMutations(cp: () => TestControlPlane, world: { readonly hub: MadeSite }) {
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

function alertMutations(cp: () => TestControlPlane) {
  let ruleId = "";
  /** An alert that nothing is wrong for is resolved by whoever looks at the rules next: then it is another one's turn. */
  const alert = (text: string) => async () => {
    for (let tries = 1; ; tries++) {
      const [row] = await query(
        cp().connection,
        `INSERT INTO alerts (id, organization_id, rule_id, state, subject_id, subject, detail, since, updated_at)
         SELECT gen_random_uuid(), organization_id, id, 'FIRING', gen_random_uuid(), '', '', now(), now() FROM alert_rules
         WHERE id = $1 RETURNING id`,
        [ruleId],
      );
      const { errors } = await cp().send(`mutation ($id: ID!) { ${text} }`, { id: row?.id });
      if (!errors) return;
      if (errors[0]?.extensions.code !== "alert/resolved" || tries > 5) throw new Error(JSON.stringify(errors));
    }
  };
  const rule = (name: string, type: string, input: object) =>
    cp().get<Record<string, { id: string }>>(`mutation ($input: ${type}!) { ${name}(input: $input) { id } }`, {
      input,
    });
  let webhookId = "";
  return {
    createAlertWebhook: async () => {
      const { createAlertWebhook: made } = await cp().get<{ createAlertWebhook: { webhook: { id: string } } }>(
        "mutation ($input: CreateAlertWebhookInput!) { createAlertWebhook(input: $input) { webhook { id } } }",
        { input: { name: "Desk", url: "https://desk.example/" } },
      );
      webhookId = made.webhook.id;
    },
    deleteAlertWebhook: () => cp().get("mutation ($id: ID!) { deleteAlertWebhook(id: $id) { id } }", { id: webhookId }),
    createAlertRule: async () => {
      const made = await rule("createAlertRule", "CreateAlertRuleInput", { name: "Down", kind: "TUNNEL_DOWN" });
      ruleId = made.createAlertRule?.id ?? "";
    },
    updateAlertRule: () => rule("updateAlertRule", "UpdateAlertRuleInput", { id: ruleId, forSeconds: 120 }),
    acknowledgeAlert: alert("acknowledgeAlert(id: $id) { id }"),
    silenceAlert: alert("silenceAlert(id: $id, until: null) { id }"),
    deleteAlertRule: () => cp().get("mutation ($id: ID!) { deleteAlertRule(id: $id) { id } }", { id: ruleId }),
  };
}
