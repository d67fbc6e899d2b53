import { z } from "zod";

const id = z.string();

/** What an agent is asked to do at once; ids are those of the intent, `childId` may be empty. A few kilobytes at most. */
const agentAction = z.discriminatedUnion("case", [
  z.object({
    case: z.enum(["initiate", "terminate", "rekey", "reauthenticate"]),
    value: z.object({ tunnelId: id, childId: id }),
  }),
  z.object({
    case: z.literal("requestCertificate"),
    value: z.object({ id, names: z.array(z.string()), keyType: z.string() }),
  }),
  z.object({
    case: z.literal("presentChallenge"),
    value: z.object({ type: z.string(), name: z.string(), token: z.string(), keyAuthorization: z.string() }),
  }),
  z.object({ case: z.literal("useControlCertificate"), value: z.object({ chain: z.array(z.string()) }) }),
  z.object({ case: z.literal("withdrawChallenge"), value: z.object({ token: z.string() }) }),
]);

/**
 * What may be told to other replicas. A wake-up carries ids and never the news itself: who is woken reads the database. Commands and
 * their results are the exception: nothing is owed when one gets lost, and whoever gave it is told.
 */
export const CHANNELS = {
  /** A gateway has a new revision to be sent. */
  intent: z.object({ organizationId: id, gatewayId: id, revision: z.number() }),
  /** A gateway runs a revision, and would after a restart. */
  confirmed: z.object({ organizationId: id, gatewayId: id }),
  /** A tunnel or one of its SAs changed. */
  tunnel: z.object({ organizationId: id, tunnelId: id }),
  /** A gateway took a step of its onboarding. */
  onboarding: z.object({ organizationId: id, gatewayId: id }),
  /** A rotation took a step. */
  rotation: z.object({ organizationId: id, rotationId: id }),
  /** Alerts of an organization have changed since then, milliseconds since 1970. */
  alerts: z.object({ organizationId: id, since: z.number() }),
  /** A rollout took a step. */
  rollout: z.object({ organizationId: id, rolloutId: id }),
  /** Rows wait in the outbox. */
  outbox: z.object({}),
  /** A gateway's agent opened a stream: replicas that hold an older one end it. */
  session: z.object({ gatewayId: id, sessionId: id }),
  /** A gateway was retired or its certificate revoked: its stream ends. */
  revoked: z.object({ gatewayId: id }),
  /** The register of revocations has grown: every stream of the organization is told. */
  revocation: z.object({ organizationId: id, number: z.number() }),
  /** Gateways have confirmed a revocation. */
  revocationConfirmed: z.object({ organizationId: id, revocationId: id }),
  /** The replica that holds the gateway's stream hands it to the agent. */
  command: z.object({ commandId: id, gatewayId: id, action: agentAction }),
  /** What became of a command; `problem` when it was not carried out, `csr` (DER in base64) when it asked for one. */
  commandResult: z.object({
    commandId: id,
    csr: id.optional(),
    problem: z
      .object({ code: id, message: id, field: id.optional(), value: id.optional(), expected: id.optional() })
      .optional(),
  }),
} as const;

export type Channel = keyof typeof CHANNELS;
export type Message<C extends Channel> = z.infer<(typeof CHANNELS)[C]>;
export type Listener<C extends Channel> = (message: Message<C>) => void;

/**
 * Wake-ups between replicas. Delivery is at most once: a message may be lost when a connection breaks, so every listener
 * also reads the database when `onReconnect` says that some may have been missed. Messages of one publisher on one channel
 * keep their order. A publisher's own listeners hear it too.
 */
export abstract class WakeUpBus {
  /** Resolves when the message is on its way; rejects with `platform/bus-unavailable`. */
  abstract publish<C extends Channel>(channel: C, message: Message<C>): Promise<void>;
  /** A listener must not throw. The result ends the subscription. */
  abstract subscribe<C extends Channel>(channel: C, listener: Listener<C>): () => void;
  /** Called after a lost connection is back. */
  abstract onReconnect(listener: () => void): () => void;
  abstract open(): Promise<void>;
  abstract close(): Promise<void>;
}
