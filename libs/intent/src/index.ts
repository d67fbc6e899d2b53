export * from "./model.js";
export { Secret } from "./secret.js";
