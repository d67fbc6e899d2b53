import { createPublicKey, type KeyObject } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Fault, isFault } from "@sallyport/base";
import { AgentService, CONTROL_PLANE_NAME, fromConnectError } from "@sallyport/contract";
import { certificatesFromPem, readCertificate } from "@sallyport/pki";
import type { Enrolment, EnrolmentStore, StoredKeyPair } from "../store/index.js";
import { makeKeys, pairUp } from "./enrol.js";
import { fault } from "./faults.js";

const RPC_MS = 10_000;
/** Share of its life after which a certificate is renewed. */
const RENEW_AT = 2 / 3;

function dueAt({ certificates }: StoredKeyPair): number {
  const [leaf] = certificatesFromPem(certificates) as [Uint8Array];
  const { notBefore, notAfter } = readCertificate(leaf);
  return notBefore + (notAfter - notBefore) * RENEW_AT;
}

/** When the first of the certificates in use should be renewed, milliseconds since 1970. */
export function renewalDue(enrolment: Enrolment): number {
  return Math.min(dueAt(enrolment.control), dueAt(enrolment.identities[0] as StoredKeyPair));
}

export interface RenewalOptions {
  readonly enrolment: Enrolment;
  readonly store: EnrolmentStore;
}

/**
 * New keys and certificates, kept beside the identity in use: that one is needed until the control plane's next intent names the new.
 * @throws enrol/*, contract/*, agents/* (the control plane's refusals), state/*
 */
export async function renew({ enrolment, store }: RenewalOptions): Promise<Enrolment> {
  const keys = await makeKeys();
  let failure: Fault = fault("enrol/unreachable", "no control plane is known", { field: "urls" });
  for (const url of enrolment.urls) {
    const session = new Http2SessionManager(
      url,
      {},
      {
        ca: enrolment.controlCa,
        key: enrolment.control.privateKey,
        cert: enrolment.control.certificates,
        servername: CONTROL_PLANE_NAME,
        minVersion: "TLSv1.3",
      },
    );
    try {
      const client = createClient(AgentService, createGrpcTransport({ baseUrl: url, sessionManager: session }));
      const { identityCsr, controlCsr } = keys;
      const answer = await client.renew({ identityCsr, controlCsr }, { timeoutMs: RPC_MS });
      const renewed: Enrolment = {
        ...enrolment,
        control: pairUp(keys.control, answer.controlChain, "controlChain"),
        identities: [
          pairUp(keys.identity, answer.identityChain, "identityChain"),
          enrolment.identities[0] as StoredKeyPair,
        ],
      };
      await store.save(renewed);
      return renewed;
    } catch (error) {
      failure = isFault(error) ? error : fromConnectError(error);
      if (!failure.policy.retry) break;
    } finally {
      session.abort();
    }
  }
  throw failure;
}

/**
 * The enrolment with another certificate of the control channel (DER, leaf first); undefined when it has that one already.
 * @throws enrol/bad-answer when its key was not made here, pki/*
 */
export function withControl(
  enrolment: Enrolment,
  chain: readonly Uint8Array[],
  keys: { find(spki: Uint8Array): KeyObject | undefined },
): Enrolment | undefined {
  const [leaf = new Uint8Array()] = chain;
  const { spki, fingerprint } = readCertificate(leaf, "chain");
  const [present] = certificatesFromPem(enrolment.control.certificates) as [Uint8Array];
  if (readCertificate(present).fingerprint === fingerprint) return undefined;
  const privateKey = keys.find(spki);
  if (privateKey === undefined) {
    throw fault("enrol/bad-answer", "chain: the key of this certificate was not made here", { field: "chain" });
  }
  const pair = { privateKey, publicKey: createPublicKey(privateKey) };
  return { ...enrolment, control: pairUp(pair, chain, "chain") };
}
