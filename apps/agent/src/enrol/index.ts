export { type EnrolOptions, enrol } from "./enrol.js";
export { type RenewalOptions, renew, renewalDue, withControl } from "./renew.js";
