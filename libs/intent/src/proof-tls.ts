import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { EapTlsJob, EapTlsResult, Identity, PeerCertificate, TrustAnchor } from "@sallyport/ike";

/** Refused as a runner refuses a job. */
export class Refusal extends Error {}

type Settings = NonNullable<EapTlsJob["open"]>;

/** The other end's certificate as this end takes it: of an anchor in `trust` and, when told one, of this name. Throws `Refusal`. */
export type Believes = (trust: readonly TrustAnchor[], name: Identity | undefined) => PeerCertificate;

/**
 * What a runner's TLS is to the engine, without TLS: three flights, in which each end says which versions it takes and holds the
 * other's certificate against its anchors. Both come to the same key.
 */
export class ProofTls {
  readonly #sessions = new Map<string, Settings>();

  constructor(
    private readonly believes: Believes,
    /** The same at both ends of a proof. */
    private readonly shared: string,
  ) {}

  run({ session, open, input }: EapTlsJob): EapTlsResult {
    const settings = open ?? this.#sessions.get(session);
    if (!settings) throw new Refusal("no TLS goes on");
    this.#sessions.set(session, settings);
    const { role, versions, trust, prove } = settings;
    const said = Buffer.from(input).toString();
    const [word = "", theirs = ""] = said.split(" ");
    if (role === "peer" && word === "") return { output: Buffer.from(`hello ${versions.min}-${versions.max}`) };
    if (role === "server" && word === "hello") {
      const [min = "", max = ""] = theirs.split("-");
      const [agreed = ""] = [max, versions.max].sort();
      if (agreed < min || agreed < versions.min) {
        throw new Refusal(`TLS ${versions.min} to ${versions.max} is taken, ${min} to ${max} offered`);
      }
      return { output: Buffer.from(`certificate ${agreed}`) };
    }
    const ends = role === "peer" ? word === "certificate" : word === "finished";
    if (!ends) throw new Refusal("TLS goes on in another way");
    this.#sessions.delete(session);
    const certificate = this.believes(trust, prove);
    const version = theirs === "1.2" ? "1.2" : "1.3";
    const msk = Uint8Array.from(createHash("sha512").update(this.shared).digest());
    return {
      output: role === "peer" ? Buffer.from(`finished ${version}`) : new Uint8Array(0),
      finished: { msk, version, certificate },
    };
  }

  close(session: string): void {
    this.#sessions.delete(session);
  }
}
