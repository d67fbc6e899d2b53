/** Counts up when the meaning of messages changes in a way that the wire format alone does not show. */
export const CONTRACT_VERSION = 1;

/** The oldest contract version that a control plane of this version still speaks. */
export const OLDEST_CONTRACT_VERSION = 1;

/** Octets of an intent's body, of a message to an agent, and of a message from one. */
export const MAX_INTENT_BYTES = 8 * 1024 * 1024;
export const MAX_CONTROL_MESSAGE_BYTES = MAX_INTENT_BYTES + 64 * 1024;
export const MAX_AGENT_MESSAGE_BYTES = 8 * 1024 * 1024;

/**
 * The one name in every control plane's certificate. Agents check it instead of the host they dialled: the control channel's CA
 * names nothing but control planes and agents, and addresses change more often than certificates do.
 */
export const CONTROL_PLANE_NAME = "control-plane.sallyport.internal";
