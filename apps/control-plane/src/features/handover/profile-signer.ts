import { Injectable } from "@nestjs/common";
import { type Profile, signProfile } from "@sallyport/handover";
import { type CmsSigner, EXTENDED_KEY_USAGE, issueLeaf, MemoryKeyStore } from "@sallyport/pki";
import { Changes } from "../../platform/database/changes.js";
import { AuthorityService } from "../certificates/authority.service.js";
import { IssuedCertificates } from "../certificates/issued-certificates.js";

const DAY_MS = 86_400_000;
const LIFE_MS = 90 * DAY_MS;
/** Devices show for how long the signer's certificate is good. */
const LEFT_MS = 60 * DAY_MS;
const MOST = 256;

interface Signer {
  readonly signer: CmsSigner;
  readonly renewAt: number;
}

/**
 * Signs profiles with a certificate of the organization's own CA. The key is this process's and never leaves it: a new process gets a
 * new certificate, of which the issuance log tells.
 */
@Injectable()
export class ProfileSigner {
  readonly #keys = new MemoryKeyStore();
  readonly #signers = new Map<string, Signer>();

  constructor(
    private readonly changes: Changes,
    private readonly authorities: AuthorityService,
    private readonly issued: IssuedCertificates,
  ) {}

  /** Ready to sign. Not for use inside a transaction: it may issue a certificate in one of its own. */
  async open(organizationId: string): Promise<(profile: Profile) => Promise<Profile>> {
    let own = this.#signers.get(organizationId);
    if (own === undefined || own.renewAt < Date.now()) {
      own = await this.#make(organizationId);
      const oldest = this.#signers.size >= MOST ? this.#signers.keys().next().value : undefined;
      if (oldest !== undefined) this.#signers.delete(oldest);
      this.#signers.set(organizationId, own);
    }
    const { signer } = own;
    return (profile) => signProfile(profile, this.#keys, signer, Date.now());
  }

  async #make(organizationId: string): Promise<Signer> {
    const key = await this.#keys.generate("ecdsa-p256");
    return this.changes.commit({ organizationId }, async (tx) => {
      const by = await this.authorities.issuing(tx, { purpose: "GATEWAY_IDENTITY", organizationId });
      const { name } = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
      const now = Date.now();
      const holder = "profiles of devices";
      const made = await issueLeaf(by.store, by.authority, {
        subject: [
          ["O", name],
          ["CN", `${name} profiles`],
        ],
        spki: key.spki,
        names: [],
        now,
        notAfter: Math.min(now + LIFE_MS, by.authority.certificate.notAfter),
        extendedKeyUsage: [EXTENDED_KEY_USAGE.emailProtection],
        places: this.authorities.places(by.id),
      });
      const issuance = { organizationId, purpose: "PROFILES", holder, names: [], by: "hand-over" } as const;
      await this.issued.save(tx, by, made, issuance);
      const { certificate } = made;
      const above = [by.authority.certificate, ...by.authority.above];
      return { signer: { key, certificate, above }, renewAt: certificate.notAfter - LEFT_MS };
    });
  }
}
