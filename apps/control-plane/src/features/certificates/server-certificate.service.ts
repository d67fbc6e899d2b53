import { Injectable } from "@nestjs/common";
import { CONTROL_PLANE_NAME } from "@sallyport/contract";
import { generateKeys, issueServer, pinOf, spkiOf, toPem } from "@sallyport/pki";
import { Database, type Tx } from "../../platform/database/database.js";
import { AuthorityService } from "./authority.service.js";

/** What the agents' listener shows, and by what it knows agents. PEM. */
export interface ServerCredentials {
  readonly key: string;
  /** Leaf first, root last: an agent that enrols finds the pinned root in it. */
  readonly chain: string;
  /** Roots of the control channel's CA. */
  readonly clientRoots: string;
  /** DER of the same. */
  readonly anchors: readonly Uint8Array[];
  /** When another one should be made, milliseconds since 1970. */
  readonly renewAt: number;
}

/** The control plane's own certificate. Its key is made by each replica at its start and is never written down. */
@Injectable()
export class ServerCertificateService {
  constructor(
    private readonly database: Database,
    private readonly authorities: AuthorityService,
  ) {}

  async make(): Promise<ServerCredentials> {
    const { publicKey, privateKey } = await generateKeys();
    return this.database.transaction(async (tx) => {
      const { authority, store } = await this.authorities.issuing(tx, { purpose: "CONTROL_CHANNEL" });
      const roots = await this.authorities.roots(tx, { purpose: "CONTROL_CHANNEL" });
      const now = Date.now();
      const { certificate, chain } = await issueServer(store, authority, {
        name: CONTROL_PLANE_NAME,
        spki: spkiOf(publicKey),
        now,
      });
      return {
        key: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
        chain: chain.map((der) => toPem("CERTIFICATE", der)).join(""),
        clientRoots: roots.map((r) => toPem("CERTIFICATE", r.certificate)).join(""),
        anchors: roots.map((r) => r.certificate),
        renewAt: now + (certificate.notAfter - now) / 2,
      };
    });
  }

  /** What tokens pin: the key of the root that the control plane's certificate leads to. */
  async pin(tx: Tx): Promise<Uint8Array> {
    const { authority } = await this.authorities.issuing(tx, { purpose: "CONTROL_CHANNEL" });
    return pinOf((authority.above.at(-1) ?? authority.certificate).spki);
  }
}
