import type { IpAddress, Prefix } from "@sallyport/base";
import type { KeyKind } from "@sallyport/ike";

/** What the gateway's own certificate and key are; `chain` is DER, end entity first, without the anchor. */
export interface Credential {
  /** Names the private key for whoever signs. */
  readonly key: string;
  readonly keyKind: KeyKind;
  readonly chain: readonly Uint8Array[];
}

/** What only the machine itself knows. */
export interface LocalFacts {
  readonly credential?: Credential | undefined;
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
