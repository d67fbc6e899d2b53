export { compile, compileAll, compileEach, emptyIntent } from "./compile.js";
export {
  type ChildDiff,
  type ConnectionDiff,
  diffIntent,
  type FieldChange,
  type Impact,
  type IntentDiff,
} from "./diff.js";
export { mschapVerifier } from "./engine-auth.js";
export { type EngineConfig, toIkeConfig } from "./engine-config.js";
export { isHostName } from "./fields.js";
export { DEFAULT_PORTS, gatewayFqdn, gatewayIdentity, listTunnels } from "./fleet.js";
export * from "./fleet-model.js";
export { ikeIdentity } from "./identity.js";
export type { Credential, LocalFacts } from "./local-facts.js";
export * from "./model.js";
export { findOverlaps, type Overlap, overlapFault, overlapsIn, type PrefixOwner } from "./overlaps.js";
export { parseIntent } from "./parse.js";
export { DEFAULT_PROFILE } from "./profiles.js";
export { type Proposal, type ProposalUse, parseProposal, parseProposals, proposalText } from "./proposals.js";
export { type Proof, type ProvenChild, prove, proveExternal } from "./prove.js";
export { givenRanges, isGiven, parseRange, poolSize, type Range, rangesOverlap, rangeText, shareOf } from "./ranges.js";
export { remoteAccessConnectionIds } from "./remote-access.js";
export { Secret } from "./secret.js";
export { parseSelector, selectorText } from "./selectors.js";
export { maskIntent, sameIntent, serializeIntent } from "./serialize.js";
export { withoutPeople } from "./without-people.js";
