import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const order = z.object({ orderId: z.uuid() });
const account = z.object({ accountId: z.uuid() });

/** An order is to be brought on. */
export type AdvanceOrder = z.infer<typeof order>;
export const ADVANCE_ORDER = jobType<AdvanceOrder>({ name: "advance-acme-order", payload: order });

/** An account is to be made at its directory. */
export type RegisterAccount = z.infer<typeof account>;
export const REGISTER_ACCOUNT = jobType<RegisterAccount>({ name: "register-acme-account", payload: account });

const renewal = z.object({ acmeCertificateId: z.uuid() });

/** A directory is to be asked when it wants a certificate renewed. */
export type AskRenewal = z.infer<typeof renewal>;
export const ASK_RENEWAL = jobType<AskRenewal>({ name: "ask-acme-renewal", payload: renewal });
