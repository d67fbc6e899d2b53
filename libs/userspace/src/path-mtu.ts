import type { Clock, IpAddress } from "@sallyport/base";
import type { RouteNetlink } from "@sallyport/linux-io";
import type { Path } from "./sa.js";

/** RFC 1191 §6.3. */
const TOLD_MS = 600_000;
/** No router may tell less: RFC 1122 §3.3.3, RFC 8200 §5. */
const LEAST = { 4: 576, 6: 1280 } as const;

/** How long packets to a peer may be: what the link takes that they leave by, or less where a router said so (RFC 4301 §8.2). */
export class PathMtus {
  readonly #told = new Map<string, { readonly mtu: number; readonly until: number }>();

  constructor(
    private readonly clock: Clock,
    private readonly netlink: Pick<RouteNetlink, "lookup" | "links">,
  ) {}

  /** A router's word, as long as it holds; else infinite. */
  told(destination: IpAddress): number {
    const known = this.#told.get(destination.toString());
    return known && known.until > this.clock.now() ? known.mtu : Number.POSITIVE_INFINITY;
  }

  /** Gives what is believed of it. */
  learn(destination: IpAddress, mtu: number): number {
    const believed = Math.max(mtu, LEAST[destination.family]);
    this.#told.set(destination.toString(), { mtu: believed, until: this.clock.now() + TOLD_MS });
    return believed;
  }

  /** What the outgoing link takes; infinite when there is none at the moment. */
  async ofLink({ destination, source }: Pick<Path, "destination" | "source">): Promise<number> {
    try {
      const route = await this.netlink.lookup(destination, source);
      const link = (await this.netlink.links()).find(({ index }) => index === route?.interfaceIndex);
      return Math.min(link?.mtu || Number.POSITIVE_INFINITY, route?.mtu ?? Number.POSITIVE_INFINITY);
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  }
}
