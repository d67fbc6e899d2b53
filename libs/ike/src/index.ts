export * from "./api.js";
export * from "./crypto/index.js";
export * from "./wire/index.js";
