import type { CertificateReference, PublicCertificate, TrustAnchorModel } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";

/** What compiling needs of the certificates feature. All of one organization. */
export interface Credentials {
  /** By gateway id; a gateway that is not enrolled is absent. */
  readonly certificates: ReadonlyMap<string, CertificateReference>;
  /** Of public authorities, by gateway id. */
  readonly publicCertificates: ReadonlyMap<string, PublicCertificate>;
  readonly trustAnchors: readonly TrustAnchorModel[];
  /** Anchors by which gateways of the organization accept each other. */
  readonly internalAnchorIds: readonly string[];
}

/** Port to the certificates feature. */
export abstract class GatewayCredentials {
  abstract load(tx: Tx, organizationId: string): Promise<Credentials>;
}
