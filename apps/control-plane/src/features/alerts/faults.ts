import { faultTable } from "@sallyport/base";

export const fault = faultTable({
  /** As many rules as an organization may have are there. */
  "alert/too-many-rules": { retry: false, expose: true },
  /** As many webhooks as an organization may have are there. */
  "alert/too-many-webhooks": { retry: false, expose: true },
  /** A webhook is where none may be, does not answer, or did not take what it was told. */
  "alert/webhook-failed": { retry: true, expose: true },
  /** The alert is resolved: there is nothing to acknowledge or to silence. */
  "alert/resolved": { retry: false, expose: true },
});
