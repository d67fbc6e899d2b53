export * from "./model.js";
export { fieldPath, isHostName, parseIntent } from "./parse.js";
export { DEFAULT_PROFILE } from "./profiles.js";
export { type Proposal, type ProposalUse, parseProposal, parseProposals, proposalText } from "./proposals.js";
export { Secret } from "./secret.js";
export { digestIntent, maskIntent, sameIntent, serializeIntent } from "./serialize.js";
