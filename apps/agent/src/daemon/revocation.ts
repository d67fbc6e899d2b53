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

type Millis = number;

/** What a fetch gave; `news`: it may speak against a certificate that was taken before. */
interface Learnt {
  readonly known: boolean;
  readonly news: boolean;
}

/** A place that was asked, or is being asked. */
interface Asked {
  readonly known: Promise<boolean>;
  /** When it may be asked again, monotonic. */
  notBefore: Millis;
}

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
const MAX_FETCHES = 8;
const MAX_PLACES = 1024;

/**
 * What this gateway knows about revoked certificates, and how it learns it: from the places that a certificate names, once its
 * chain has been verified – never before, else every stranger could have this machine fetch what he likes (hostile input 13).
 */
export class Revocation {
  readonly store = new RevocationStore();
  readonly #places = new Map<string, Asked>();
  /** Fetches under way. */
  #under = 0;

  constructor(private readonly options: RevocationOptions) {}

  /**
   * Judges a verified path, leaf first, by what is known now, and asks for what is not known or will soon be stale.
   * @throws pki/revoked, pki/revocation-unknown (strict)
   */
  require(path: readonly Certificate[], policy: RevocationPolicy): void {
    try {
      requireUnrevoked(path, this.store, policy, this.options.clock.wall());
    } finally {
      if (policy !== "off") for (const question of questionsOf(path)) void this.#learn(question);
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
  async #learn(question: Question): Promise<void> {
    const { certificate, issuer } = question;
    const { clock, fetch } = this.options;
    for (const uri of certificate.ocspUris) {
      const nonce = randomBytes(16);
      const learnt = await this.#ask(`${uri} ${certificate.fingerprint}`, uri, question, async () => {
        const body = { type: "application/ocsp-request", octets: ocspRequest(certificate, issuer, nonce) };
        const der = await fetch({ uri, limits: OCSP_LIMITS, body });
        const status = this.store.addOcsp(der, certificate, issuer, clock.wall(), nonce);
        return { known: status !== "unknown", news: status === "revoked" };
      });
      if (learnt) return;
    }
    for (const uri of certificate.crlUris) {
      const learnt = await this.#ask(uri, uri, question, async () => {
        const news = this.store.addCrl(await fetch({ uri, limits: CRL_LIMITS }), issuer);
        return { known: true, news };
      });
      if (learnt) return;
    }
  }

  /** One fetch a place at a time, and none so soon after the last; gives whether something is known from there. */
  #ask(place: string, uri: string, question: Question, fetch: () => Promise<Learnt>): Promise<boolean> {
    const asked = this.#places.get(place);
    if (asked && asked.notBefore > this.options.clock.now()) return asked.known;
    if (this.#under >= MAX_FETCHES) return Promise.resolve(false);
    this.#under++;
    const next: Asked = {
      notBefore: this.options.clock.now() + PAUSE_MS,
      known: this.#fetch(uri, fetch).finally(() => this.#under--),
    };
    this.#places.delete(place);
    this.#places.set(place, next);
    if (this.#places.size > MAX_PLACES) this.#places.delete(this.#places.keys().next().value as string);
    void next.known.then((known) => {
      if (known) next.notBefore = this.#renewAt(question);
    });
    return next.known;
  }

  async #fetch(uri: string, fetch: () => Promise<Learnt>): Promise<boolean> {
    const { log, onNews } = this.options;
    try {
      const { known, news } = await fetch();
      if (news) onNews();
      return known;
    } catch (error) {
      if (!isFault(error)) log.error({ uri, err: error }, "asking about a certificate failed");
      else log.warn({ uri, code: error.code }, `nothing was learnt about revoked certificates: ${error.message}`);
      return false;
    }
  }

  /** When what has just been learnt is to be asked for again. */
  #renewAt({ certificate, issuer }: Question): Millis {
    const { clock } = this.options;
    const found = this.store.stateOf(certificate, issuer, clock.wall());
    const life = found.state === "good" ? (found.until - clock.wall()) * RENEW_AT : 0;
    return clock.now() + Math.max(PAUSE_MS, life);
  }
}

/** Every certificate of a path but the anchor, with its issuer. */
function questionsOf(path: readonly Certificate[]): Question[] {
  return path.slice(0, -1).map((certificate, i) => ({ certificate, issuer: path[i + 1] as Certificate }));
}
