export { type EnrolOptions, enrol } from "./enrol.js";
export { type RenewalOptions, renew, renewalDue } from "./renew.js";
