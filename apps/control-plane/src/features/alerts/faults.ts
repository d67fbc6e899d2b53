import { faultTable } from "@sallyport/base";

export const fault = faultTable({
  /** As many rules as an organization may have are there. */
  "alert/too-many-rules": { retry: false, expose: true },
  /** The alert is resolved: there is nothing to acknowledge or to silence. */
  "alert/resolved": { retry: false, expose: true },
});
