import type { KeyObject } from "node:crypto";
import { hostname } from "node:os";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Fault, isFault } from "@sallyport/base";
import {
  CONTRACT_VERSION,
  CONTROL_PLANE_NAME,
  decodeToken,
  EnrolmentService,
  type EnrolResponse,
  fromConnectError,
  type TokenContent,
} from "@sallyport/contract";
import {
  ChainVerifier,
  certificatesFromPem,
  createRequest,
  gatewayIdOf,
  generateKeys,
  readCertificate,
  requireIdentity,
  spkiOf,
  TrustAnchors,
  toPem,
} from "@sallyport/pki";
import type { Enrolment, EnrolmentStore, StoredKeyPair } from "../store/index.js";
import { fault } from "./faults.js";
import { findPinnedRoot } from "./pinned-connection.js";

const RPC_MS = 10_000;

/** Keys made on this machine with the requests for their certificates. The control channel and IKE have one each. */
export interface FreshKeys {
  readonly identity: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly control: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly identityCsr: Uint8Array;
  readonly controlCsr: Uint8Array;
}

export async function makeKeys(): Promise<FreshKeys> {
  const [identity, control] = await Promise.all([generateKeys("ecdsa-p256"), generateKeys("ecdsa-p256")]);
  const [identityCsr, controlCsr] = await Promise.all([
    createRequest(identity, "sallyport identity"),
    createRequest(control, "sallyport control channel"),
  ]);
  return { identity, control, identityCsr, controlCsr };
}

/** A key with its chain as it is kept. @throws enrol/bad-answer when the certificate is another key's */
export function pairUp(keys: FreshKeys["identity"], chain: readonly Uint8Array[], field: string): StoredKeyPair {
  const [leaf] = chain;
  if (leaf === undefined || Buffer.compare(readCertificate(leaf, field).spki, spkiOf(keys.publicKey)) !== 0) {
    throw fault("enrol/bad-answer", `${field}: the certificate is not for the key that it was asked for`, { field });
  }
  return {
    privateKey: keys.privateKey.export({ format: "pem", type: "pkcs8" }) as string,
    certificates: chain.map((der) => toPem("CERTIFICATE", der)).join(""),
  };
}

export interface EnrolOptions {
  readonly token: string;
  readonly store: EnrolmentStore;
  readonly agentVersion: string;
  /** Take the place of an enrolment that is there. */
  readonly force?: boolean;
}

/**
 * Makes this machine the token's gateway: finds the control plane that the token pins, makes keys, has them certified, and keeps them.
 * @throws contract/bad-token, pki/pin-mismatch, enrol/*, enrolment/* (the control plane's refusals), state/*
 */
export async function enrol(options: EnrolOptions): Promise<Enrolment> {
  const token = decodeToken(options.token);
  if (options.force !== true && (await options.store.load()) !== undefined) {
    throw fault("enrol/already-enrolled", `this machine is enrolled: ${options.store.file}`, {
      field: "state",
      expected: "--force to enrol it anew",
    });
  }
  const keys = await makeKeys();
  const failures: Fault[] = [];
  for (const url of token.urls) {
    try {
      const controlCa = await findPinnedRoot(url, token.caPin);
      const answer = await ask(url, controlCa, token, keys, options.agentVersion);
      const enrolment = accept(answer, controlCa, keys);
      await options.store.save(enrolment);
      return enrolment;
    } catch (error) {
      if (!isFault(error)) throw error;
      failures.push(error);
      // Another address may lead to the right control plane; a refusal by the right one is final.
      const elsewhere = error.code === "pki/pin-mismatch" || error.policy.retry;
      if (!elsewhere) throw error;
    }
  }
  throw failures.find((f) => f.code === "pki/pin-mismatch") ?? (failures[0] as Fault);
}

async function ask(
  url: string,
  controlCa: string,
  token: TokenContent,
  keys: FreshKeys,
  agentVersion: string,
): Promise<EnrolResponse> {
  const session = new Http2SessionManager(
    url,
    {},
    { ca: controlCa, servername: CONTROL_PLANE_NAME, minVersion: "TLSv1.3" },
  );
  const client = createClient(EnrolmentService, createGrpcTransport({ baseUrl: url, sessionManager: session }));
  try {
    return await client.enrol(
      {
        secret: token.secret,
        identityCsr: keys.identityCsr,
        controlCsr: keys.controlCsr,
        agentVersion,
        contractVersion: CONTRACT_VERSION,
        hostname: hostname(),
      },
      { timeoutMs: RPC_MS },
    );
  } catch (error) {
    throw fromConnectError(error);
  } finally {
    session.abort();
  }
}

/** Takes an answer only when both certificates are for our keys and say what they must. */
function accept(answer: EnrolResponse, controlCa: string, keys: FreshKeys): Enrolment {
  const { gatewayId, identity, identityChain, controlChain } = answer;
  const control = pairUp(keys.control, controlChain, "controlChain");
  const identityPair = pairUp(keys.identity, identityChain, "identityChain");
  const verifier = new ChainVerifier({ cacheSize: 0 });
  const now = Date.now();
  const [controlLeaf, ...controlAbove] = controlChain as [Uint8Array, ...Uint8Array[]];
  const { leaf } = verifier.verify({
    leaf: controlLeaf,
    intermediates: controlAbove,
    anchors: TrustAnchors.of(certificatesFromPem(controlCa)),
    now,
    usage: "tls-client",
  });
  if (gatewayIdOf(leaf) !== gatewayId) {
    throw fault("enrol/bad-answer", "the control channel's certificate names another gateway", {
      field: "controlChain",
    });
  }
  const [identityLeaf, ...identityAbove] = identityChain as [Uint8Array, ...Uint8Array[]];
  const ours = verifier.verify({
    leaf: identityLeaf,
    intermediates: identityAbove,
    anchors: TrustAnchors.of(identityAbove.slice(-1)),
    now,
    usage: "ike",
  });
  requireIdentity(ours.leaf, { type: "fqdn", name: identity });
  return {
    format: 1,
    gatewayId,
    gatewayName: answer.gatewayName,
    identity,
    urls: [...answer.controlPlaneUrls],
    controlCa,
    control,
    identities: [identityPair],
  };
}
