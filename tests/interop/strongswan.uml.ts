import { inGuest } from "./guest.js";

await inGuest(
  "kernel-|matrix|nat|moving|narrow-path|lifetimes|reauthentication|traps|templates|dead-peer|selectors|road-warrior",
  100,
);
