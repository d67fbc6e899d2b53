import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const payload = z.object({ deliveryId: z.uuid() });

/** Alerts are owed to a webhook. */
export type DeliverAlerts = z.infer<typeof payload>;

export const DELIVER_ALERTS = jobType<DeliverAlerts>({ name: "deliver-alerts", payload });
