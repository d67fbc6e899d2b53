import { createHash } from "node:crypto";
import { Inject, Injectable } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { type Certificate, certificatesFromPem, checkRequest, readCertificate } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { AcmeCertificate, AcmeOrder, Gateway, Prisma } from "../../platform/prisma/generated/client.js";
import { AgentCommands } from "../agents/agent-commands.service.js";
import { DnsRecordService } from "../dns-zones/dns-record.service.js";
import { recordName } from "../dns-zones/record-name.js";
import { EventService } from "../events/event.service.js";
import { SiteWindows } from "../maintenance/site-windows.js";
import { movedInto, placesOf } from "../maintenance/window.js";
import { AcmeAccountService } from "./account.service.js";
import { AnnouncedKeys } from "./announced-keys.service.js";
import { AcmeCertificateService } from "./certificate.service.js";
import type { Authorization, Challenge, Directory, Order } from "./directory.js";
import { fault } from "./faults.js";
import { problemFact, readProblem } from "./problem.js";
import { renewalName } from "./renewal-info.js";
import { alertTime, pressingTime, renewalTime } from "./renewal-times.js";

export type OrderInHand = AcmeOrder & { acmeCertificate: AcmeCertificate & { gateway: Gateway } };

/** What a step leads to: what is written of it, and how long to wait before the next one, milliseconds. */
export interface Step {
  readonly patch?: Prisma.AcmeOrderUncheckedUpdateManyInput;
  readonly wait?: number;
  /** Written in the same transaction. */
  readonly also?: (tx: Tx) => Promise<void>;
}

const CHALLENGE_TYPES = { HTTP_01: "http-01", TLS_ALPN_01: "tls-alpn-01", DNS_01: "dns-01" } as const;
const POLL_MS = 1_000;

/** The steps of an order (RFC 8555 §7.1.6), by the state that it is in. */
@Injectable()
export class OrderSteps {
  constructor(
    private readonly accounts: AcmeAccountService,
    private readonly certificates: AcmeCertificateService,
    private readonly commands: AgentCommands,
    private readonly events: EventService,
    private readonly keys: AnnouncedKeys,
    private readonly records: DnsRecordService,
    private readonly windows: SiteWindows,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async next(order: OrderInHand): Promise<Step> {
    if (order.state === "REQUESTED") return this.#requested(order);
    if (order.accountId === null) throw fault("acme/account-failed", "the account was deleted");
    const directory = await this.accounts.open(order.organizationId, order.accountId);
    switch (order.state) {
      case "KEYED": {
        const { url } = await this.#begin(order, directory);
        return { patch: { orderUrl: url, state: "ORDERED" } };
      }
      case "ORDERED":
        return this.#ordered(order, directory);
      case "VALIDATING":
        return this.#validating(order, directory);
      case "ISSUING":
        return this.#issuing(order, directory);
      case "ISSUED":
      case "FAILED":
        return { patch: { dueAt: null } };
    }
  }

  async #requested(order: OrderInHand): Promise<Step> {
    const { id, names, acmeCertificate } = order;
    const { keyType } = acmeCertificate;
    const csr = await this.commands.give(of(order), { case: "requestCertificate", value: { id, names, keyType } });
    if (csr === undefined) {
      throw fault("acme/agent-too-old", "the gateway's agent cannot ask for certificates", {
        expected: "an agent of this version or a later one",
      });
    }
    checkRequest(csr, "csr");
    return { patch: { csr: Uint8Array.from(csr), state: "KEYED" } };
  }

  /** Tells directories that care which certificate the new one is for: such orders are outside some of their limits. */
  async #begin({ organizationId, acmeCertificateId, acmeCertificate, names }: OrderInHand, directory: Directory) {
    const before =
      acmeCertificate.askAt === null
        ? undefined
        : (await this.certificates.current({ organizationId }, [acmeCertificateId])).get(acmeCertificateId);
    const replaces = before && renewalName(readCertificate(before.certificate));
    if (replaces === undefined) return directory.order(names);
    try {
      return await directory.order(names, replaces);
    } catch (error) {
      // Of another account, of another directory, or replaced already: then it is an order like others.
      if (!isFault(error, "acme/refused")) throw error;
      return directory.order(names);
    }
  }

  async #ordered(order: OrderInHand, directory: Directory): Promise<Step> {
    const at = await directory.orderAt(order.orderUrl ?? "");
    const pending = (await directory.authorizations(at)).filter((a) => a.status === "pending");
    const type = CHALLENGE_TYPES[order.acmeCertificate.challenge];
    if (type === "dns-01") return this.#proveByRecords(order, directory, pending);
    const tokens: string[] = [];
    for (const authorization of pending) {
      const name = authorization.identifier.value;
      const challenge = offered(authorization, type);
      const keyAuthorization = await directory.keyAuthorization(challenge);
      const { token } = challenge;
      await this.commands.give(of(order), { case: "presentChallenge", value: { type, name, token, keyAuthorization } });
      tokens.push(token);
      if (challenge.status === "pending") await directory.complete(challenge);
    }
    return { patch: { tokens, state: "VALIDATING" } };
  }

  /** §8.4. All records are there before the first is looked at: a name and its wildcard have theirs at the same place. */
  async #proveByRecords(order: OrderInHand, directory: Directory, pending: readonly Authorization[]): Promise<Step> {
    const challenges = pending.map((authorization) => offered(authorization, "dns-01"));
    const wanted = await Promise.all(
      challenges.map(async (challenge, i) => ({
        name: recordName(pending[i]?.identifier.value ?? ""),
        text: createHash("sha256")
          .update(await directory.keyAuthorization(challenge))
          .digest("base64url"),
      })),
    );
    await this.records.publish(order.organizationId, order.id, wanted);
    for (const challenge of challenges) {
      if (challenge.status === "pending") await directory.complete(challenge);
    }
    return { patch: { state: "VALIDATING" } };
  }

  async #validating(order: OrderInHand, directory: Directory): Promise<Step> {
    const at = await directory.orderAt(order.orderUrl ?? "");
    if (at.status === "pending") {
      const bad = (await directory.authorizations(at)).find((a) => a.status === "invalid");
      if (bad) throw challengeFailed(bad);
      return { wait: POLL_MS };
    }
    if (at.status === "invalid") throw await this.#invalid(at, directory);
    await this.withdraw(order);
    return { patch: { tokens: [], state: "ISSUING" } };
  }

  async #issuing(order: OrderInHand, directory: Directory): Promise<Step> {
    const at = await directory.orderAt(order.orderUrl ?? "");
    switch (at.status) {
      case "ready":
        if (order.csr === null) throw fault("acme/wrong-certificate", "the order has no request");
        await directory.finalize(at, order.csr);
        return { wait: POLL_MS / 2 };
      case "valid":
        return this.#issued(order, await directory.certificate(at));
      case "invalid":
        throw await this.#invalid(at, directory);
      default:
        return { wait: POLL_MS };
    }
  }

  async #issued(order: OrderInHand, pem: string): Promise<Step> {
    const [leafDer, ...above] = certificatesFromPem(pem, "certificate");
    const leaf = readCertificate(leafDer as Uint8Array, "certificate");
    const wanted = checkRequest(order.csr as Uint8Array, "csr");
    const missing = order.names.filter((name) => !leaf.names.dns.some((n) => n.toLowerCase() === name));
    if (Buffer.compare(leaf.spki, wanted.spki) !== 0 || missing.length > 0) {
      const why = missing.length > 0 ? `it is not for ${missing.join(", ")}` : "it is for another key";
      throw fault("acme/wrong-certificate", `the directory's certificate is not what was asked for: ${why}`);
    }
    const chain = above.map((der) => readCertificate(der, "certificate"));
    const intermediates = chain.filter((c) => c.subject.text !== c.issuer.text).map((c) => Uint8Array.from(c.der));
    return {
      patch: { intermediates, state: "ISSUED", dueAt: null, finishedAt: new Date() },
      also: (tx) => this.#keep(tx, order, leaf),
    };
  }

  /** Into the inventory, and to the gateway with an intent. */
  async #keep(tx: Tx, order: OrderInHand, leaf: Certificate): Promise<void> {
    const { organizationId, acmeCertificateId, acmeCertificate, names } = order;
    const { gatewayId, gateway } = acmeCertificate;
    const { fingerprint, serial, kind } = leaf;
    const notAfter = new Date(leaf.notAfter);
    const known = await tx.certificate.findFirst({ where: { organizationId, fingerprint } });
    const before = await tx.certificate.findFirst({
      where: { organizationId, acmeOrder: { acmeCertificateId }, supersededAt: null },
      orderBy: { id: "desc" },
    });
    const certificate =
      known ??
      (await tx.certificate.create({
        data: {
          ...{ organizationId, gatewayId, serial, fingerprint, notAfter, keyKind: kind, holder: gateway.name },
          ...{ subject: leaf.subject.text, issuer: leaf.issuer.text },
          names: leaf.names.dns.map((name) => `dns:${name}`),
          certificate: Uint8Array.from(leaf.der),
          notBefore: new Date(leaf.notBefore),
          ...(before && { replacesId: before.id }),
        },
      }));
    const now = new Date();
    const places = placesOf(acmeCertificate, await this.windows.placesOf(organizationId, gatewayId, tx));
    await tx.acmeCertificate.update({
      where: { organizationId, id: acmeCertificateId },
      data: {
        renewAt: movedInto(places, renewalTime(certificate), pressingTime(certificate)),
        askAt: now,
        alertAt: alertTime(certificate, now) ?? null,
      },
    });
    await tx.acmeOrder.update({ where: { organizationId, id: order.id }, data: { certificateId: certificate.id } });
    await this.events.record(tx, organizationId, {
      kind: "acme/certificate-issued",
      severity: "INFO",
      message: `${leaf.issuer.text} certified ${names[0]} for ${gateway.name}`,
      facts: { serial, notAfter: notAfter.toISOString(), names: names.join(", ") },
      siteId: gateway.siteId,
      gatewayId,
    });
    await this.keys.issued(tx, order, acmeCertificate, certificate);
  }

  /** Challenges need no answers any more. An agent that is away forgets them by itself. */
  async withdraw(order: OrderInHand): Promise<void> {
    for (const token of order.tokens) {
      try {
        await this.commands.give(of(order), { case: "withdrawChallenge", value: { token } });
      } catch (err) {
        this.log.debug({ err, order: order.id }, "a challenge's answer could not be taken back");
      }
    }
    for (const record of await this.records.of(order.organizationId, order.id)) {
      try {
        await this.records.remove(record);
      } catch (err) {
        this.log.debug({ err, order: order.id }, "a record is removed when its order is over");
      }
    }
  }

  /** Why an order came to nothing: what an authorization failed by says more than the order itself. */
  async #invalid(at: Order, directory: Directory) {
    const bad = (await directory.authorizations(at)).find((a) => a.status === "invalid");
    if (bad) return challengeFailed(bad);
    const problem = readProblem(at.error ?? {});
    return fault("acme/refused", `the order came to nothing: ${problem?.detail || "the directory does not say why"}`, {
      ...(problem && { value: problem.type, facts: problemFact(problem) }),
    });
  }
}

const of = ({ organizationId, acmeCertificate: { gatewayId } }: OrderInHand) => ({ organizationId, gatewayId });

/** @throws acme/no-such-challenge */
function offered({ identifier, challenges }: Authorization, type: string): Challenge {
  const challenge = challenges.find((c) => c.type === type);
  if (challenge !== undefined) return challenge;
  throw fault("acme/no-such-challenge", `${identifier.value}: the directory offers no ${type}`, {
    value: challenges.map((c) => c.type).join(", "),
    expected: type,
  });
}

function challengeFailed({ identifier, challenges }: Authorization) {
  const failed = challenges.find((c) => c.status === "invalid");
  const problem = readProblem(failed && "error" in failed ? failed.error : {});
  const detail = problem?.detail || "the directory does not say why";
  return fault("acme/challenge-failed", `${identifier.value}: ${detail}`, {
    field: "names",
    value: identifier.value,
    expected: `the answer to ${failed?.type ?? "the challenge"} at ${identifier.value}`,
    ...(problem && { facts: problemFact(problem) }),
  });
}
