import type { IkeEvent } from "@sallyport/ike";
import type { Certificate } from "@sallyport/pki";
import type { Reporter } from "../stream/index.js";
import type { Credentials } from "./credentials.js";

/** The same certificate at the same connection is told again after this. */
const AGAIN_MS = 12 * 3_600_000;
/** What was told is remembered of so many; the one that was told longest ago is forgotten first. */
const MAX_TOLD = 4_096;
/** Larger ones are of no use to anybody's inventory. */
const MAX_OCTETS = 8 * 1024;

/** Tells the control plane's inventory of the certificates that this gateway shows, and of those by which peers have proved themselves. */
export class Sightings {
  readonly #told = new Map<string, number>();

  constructor(
    private readonly credentials: Pick<Credentials, "own" | "taken">,
    private readonly reporter: Pick<Reporter, "certificate">,
  ) {}

  /** Those that the gateway itself shows, as far as they are news. */
  own(now: number): void {
    for (const certificate of this.credentials.own()) this.#tell(certificate, "", "", now);
  }

  /** An IKE SA is up. */
  up({ ike }: Extract<IkeEvent, { event: "ike-up" }>, now: number): void {
    for (const fingerprint of ike.certificates ?? []) {
      const certificate = this.credentials.taken(fingerprint);
      if (certificate) this.#tell(certificate, ike.peer ?? "", ike.user ?? ike.remoteId ?? "", now);
    }
  }

  #tell({ der, fingerprint }: Certificate, tunnelId: string, identity: string, now: number): void {
    const key = `${fingerprint} ${tunnelId}`;
    const at = this.#told.get(key);
    if (der.length > MAX_OCTETS || (at !== undefined && now - at < AGAIN_MS)) return;
    this.#told.delete(key);
    this.#told.set(key, now);
    if (this.#told.size > MAX_TOLD) this.#told.delete(this.#told.keys().next().value as string);
    this.reporter.certificate({ certificate: der, tunnelId, identity, at: now });
  }
}
