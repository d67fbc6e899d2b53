export { CHALLENGE_PORTS, type Challenge, type ChallengePorts, ChallengeResponder } from "./challenge-responder.js";
export { type CertificateWish, keyName, RequestedKeys } from "./requested-keys.js";
