export { type Changes, changesBetween, type Snapshot, saKey, type TunnelReport } from "./changes.js";
export { ControlChannel, type ControlChannelOptions } from "./control-channel.js";
export { IntentKeeper, type IntentKeeperOptions } from "./intent-keeper.js";
export { type NewEvent, type NewSighting, Reporter } from "./reporter.js";
export { RevocationKeeper, type RevocationKeeperOptions, type Verdict } from "./revocation-keeper.js";
