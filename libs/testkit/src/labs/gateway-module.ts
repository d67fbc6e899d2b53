import type { IpAddress } from "@sallyport/base";
import type { DataPlane } from "@sallyport/dataplane";

/** What a module names as its way to open a data plane in the process's own namespace. */
export interface GatewayModule {
  openGateway(options: GatewayPlace): Promise<OpenedGateway>;
}

/** Where the gateway is. Addresses are text. */
export interface GatewayPlace {
  readonly name: "left" | "right";
  readonly outer: readonly string[];
}

export interface OpenedGateway {
  readonly dataPlane: DataPlane;
  /** Entries of another program beside ours. */
  readonly foreign?: { add(): Promise<void>; count(): Promise<number>; remove(): Promise<void> };
  /** Whether a message from this gateway's IKE socket to the other's is answered there. Addresses are objects. */
  readonly ike?: (to: IpAddress) => Promise<boolean>;
}
