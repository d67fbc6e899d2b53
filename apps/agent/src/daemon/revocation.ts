import { randomBytes } from "node:crypto";
import { type Clock, isFault } from "@sallyport/base";
import {
  type Certificate,
  MAX_CRL_BYTES,
  MAX_OCSP_BYTES,
  ocspRequest,
  type RevocationPolicy,
  RevocationStore,
  requireUnrevoked,
} from "@sallyport/pki";
import type { Logger } from "./log.js";
import type { Fetch } from "./web-fetch.js";

/** What is asked about one certificate. */
interface Question {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
}

export interface RevocationOptions {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Logger;
  /** A certificate that was taken before is now known to be revoked. */
  readonly onNews: () => void;
}

const CRL_LIMITS = { bytes: MAX_CRL_BYTES, milliseconds: 10_000, redirects: 2 };
const OCSP_LIMITS = { bytes: MAX_OCSP_BYTES, milliseconds: 3_000, redirects: 2 };
/** How long a strict peer's authentication waits for an answer, and how long nobody asks again after none came. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 60_000;
/** What is known is asked for again when so much of its life is over. */
const RENEW_AT = 0.5;
const MIN_RENEW_MS = 60_000;
const MAX_FETCHES = 8;
const MAX_PLACES = 1024;

/**
 * What this gateway knows about revoked certificates, and how it learns it: from the places that a certificate names, once its
 * chain has been verified – never before, else every stranger could have this machine fetch what he likes (hostile input 13).
 */
export class Revocation {
  readonly store = new RevocationStore();
  /** Fetches under way by place. */
  readonly #under = new Map<string, Promise<void>>();
  /** When a place may be asked again, monotonic milliseconds. */
  readonly #notBefore = new Map<string, number>();

  constructor(private readonly options: RevocationOptions) {}

  /**
   * Judges a verified path, leaf first, by what is known now, and asks for what is not known or will soon be stale.
   * @throws pki/revoked, pki/revocation-unknown (strict)
   */
  require(path: readonly Certificate[], policy: RevocationPolicy): void {
    if (policy === "off") return;
    try {
      requireUnrevoked(path, this.store, policy, this.options.clock.wall());
    } finally {
      for (const question of questionsOf(path)) void this.#learn(question);
    }
  }

  /** Resolves when everything that is being asked about `path` has been answered, or nobody waits for it any more. */
  async learnt(path: readonly Certificate[]): Promise<void> {
    const asked = questionsOf(path).map((question) => this.#learn(question));
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([Promise.all(asked), patience]);
    clearTimeout(timer);
  }

  /** Takes a list from an operator. @throws as `RevocationStore.addCrl` */
  addCrl(der: Uint8Array, issuer: Certificate): void {
    if (this.store.addCrl(der, issuer)) this.options.onNews();
  }

  /** The responder first, who knows it newer; the lists when he has no answer. */
  async #learn({ certificate, issuer }: Question): Promise<void> {
    for (const uri of certificate.ocspUris) {
      const nonce = randomBytes(16);
      const learnt = await this.#ask(`${uri} ${certificate.fingerprint}`, uri, async () => {
        const body = { type: "application/ocsp-request", octets: ocspRequest(certificate, issuer, nonce) };
        const der = await this.options.fetch({ uri, limits: OCSP_LIMITS, body });
        return this.store.addOcsp(der, certificate, issuer, this.options.clock.wall(), nonce) !== "unknown";
      });
      if (learnt) return this.#renewLater(`${uri} ${certificate.fingerprint}`, { certificate, issuer });
    }
    for (const uri of certificate.crlUris) {
      const learnt = await this.#ask(uri, uri, async () => {
        this.store.addCrl(await this.options.fetch({ uri, limits: CRL_LIMITS }), issuer);
        return true;
      });
      if (learnt) return this.#renewLater(uri, { certificate, issuer });
    }
  }

  /** One fetch a place at a time, and none so soon after the last; gives whether something is known from there. */
  async #ask(place: string, uri: string, fetch: () => Promise<boolean>): Promise<boolean> {
    const running = this.#under.get(place);
    if (running) {
      await running;
      return this.#notBefore.has(place);
    }
    const { clock, log, onNews } = this.options;
    if ((this.#notBefore.get(place) ?? 0) > clock.now()) return true;
    if (this.#under.size >= MAX_FETCHES) return false;
    let known = false;
    const run = async () => {
      try {
        known = await fetch();
        onNews();
      } catch (error) {
        if (!isFault(error)) throw error;
        log.warn({ uri, code: error.code }, `nothing was learnt about revoked certificates: ${error.message}`);
      }
    };
    const fetching = run().finally(() => this.#under.delete(place));
    this.#under.set(place, fetching);
    this.#notBefore.delete(place);
    this.#notBefore.set(place, clock.now() + PAUSE_MS);
    if (this.#notBefore.size > MAX_PLACES) this.#notBefore.delete(this.#notBefore.keys().next().value as string);
    await fetching;
    return known;
  }

  #renewLater(place: string, { certificate, issuer }: Question): void {
    const { clock } = this.options;
    const found = this.store.stateOf(certificate, issuer, clock.wall());
    if (found.state !== "good") return;
    const life = Math.max(MIN_RENEW_MS, (found.until - clock.wall()) * RENEW_AT);
    this.#notBefore.set(place, clock.now() + life);
  }
}

/** Every certificate of a path but the anchor, with its issuer. */
function questionsOf(path: readonly Certificate[]): Question[] {
  return path.slice(0, -1).map((certificate, i) => ({ certificate, issuer: path[i + 1] as Certificate }));
}
