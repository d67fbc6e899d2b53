import type { IpAddress, Prefix } from "@sallyport/base";
import type { Identity as IkeIdentity, KeyKind } from "@sallyport/ike";
import type { CertificateReference } from "./model.js";

/** A certificate of this gateway with its key; `chain` is DER, end entity first, without the anchor. */
export interface Credential {
  /** Names the private key for whoever signs. */
  readonly key: string;
  readonly keyKind: KeyKind;
  readonly chain: readonly Uint8Array[];
  /** SHA-1 of the SubjectPublicKeyInfo of the authorities above it, as far as they are known (RFC 7296 §3.7). */
  readonly authorities: readonly Uint8Array[];
  /** What it proves (IDENT-08). */
  readonly subject: IkeIdentity;
}

/** What only the machine itself knows. */
export interface LocalFacts {
  /** The very certificate that is named, with the intermediates that are named beside it if any are; without a name the newest. */
  readonly credential: (certificate: CertificateReference | undefined) => Credential | undefined;
  /** Addresses of the DNS names among `remote.host`; a name that is not here is not resolved yet. */
  readonly resolved: ReadonlyMap<string, IpAddress>;
  /** The address from which packets to `remote` leave; undefined when there is no route. */
  readonly localAddress: (remote: IpAddress) => IpAddress | undefined;
  /** The gateway's addresses; the first one within a child's local subnets is the source of the gateway's own packets. */
  readonly ownAddresses: readonly IpAddress[];
  /** Networks that it is in itself. */
  readonly ownNetworks: readonly Prefix[];
  /** The data plane sends ESP in UDP only. */
  readonly forcesEncapsulation: boolean;
}
