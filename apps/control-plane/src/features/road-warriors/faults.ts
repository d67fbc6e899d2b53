import { faultTable } from "@sallyport/base";

export const personFault = faultTable({
  /** Another person has the user name. */
  "person/username-taken": { retry: false, expose: true },
  /** A password that nobody shall have. */
  "person/weak-password": { retry: false, expose: true },
});
