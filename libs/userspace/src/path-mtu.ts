import type { Clock, IpAddress } from "@sallyport/base";
import type { LinkInfo, RouteNetlink } from "@sallyport/linux-io";
import type { Path } from "./sa.js";

type Ends = Pick<Path, "destination" | "source">;

/** RFC 1191 §6.3. */
const TOLD_MS = 600_000;
/** No router may tell less: RFC 1122 §3.3.3, RFC 8200 §5. */
const LEAST = { 4: 576, 6: 1280 } as const;

/** Routers' words that are remembered; the oldest go. */
const MAX_TOLD = 4096;

/** SAs that come within this of each other share what the kernel said: it takes as long as a key exchange. */
const SHARED_MS = 1_000;

/** How long packets to a peer may be: what the link takes that they leave by, or less where a router said so (RFC 4301 §8.2). */
export class PathMtus {
  readonly #told = new Map<string, { readonly mtu: number; readonly until: number }>();
  /** What was asked since `since`: the links, and what they take by the ends of the path. */
  #asked:
    | { readonly since: number; readonly links: Promise<LinkInfo[]>; readonly mtus: Map<string, Promise<number>> }
    | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly netlink: Pick<RouteNetlink, "lookup" | "links">,
  ) {}

  /** How many routers' words are remembered. */
  get remembered(): number {
    return this.#told.size;
  }

  /** A router's word, as long as it holds; else infinite. */
  told(destination: IpAddress): number {
    const known = this.#told.get(destination.toString());
    return known && known.until > this.clock.now() ? known.mtu : Number.POSITIVE_INFINITY;
  }

  /** Gives what is believed of it. */
  learn(destination: IpAddress, mtu: number): number {
    const believed = Math.max(mtu, LEAST[destination.family]);
    const key = destination.toString();
    this.#told.delete(key);
    this.#told.set(key, { mtu: believed, until: this.clock.now() + TOLD_MS });
    if (this.#told.size > MAX_TOLD) this.#told.delete(this.#told.keys().next().value as string);
    return believed;
  }

  /** What the outgoing link takes; infinite when there is none at the moment. */
  ofLink(ends: Ends): Promise<number> {
    const { links, mtus } = this.#recent();
    const key = `${ends.source} ${ends.destination}`;
    const known = mtus.get(key);
    if (known) return known;
    const asked = this.#ask(ends, links).catch(() => Number.POSITIVE_INFINITY);
    mtus.set(key, asked);
    return asked;
  }

  async #ask({ destination, source }: Ends, links: Promise<LinkInfo[]>): Promise<number> {
    const [route, all] = await Promise.all([this.netlink.lookup(destination, source), links]);
    const link = all.find(({ index }) => index === route?.interfaceIndex);
    return Math.min(link?.mtu || Number.POSITIVE_INFINITY, route?.mtu ?? Number.POSITIVE_INFINITY);
  }

  #recent() {
    const now = this.clock.now();
    if (!this.#asked || now - this.#asked.since >= SHARED_MS) {
      this.#asked = { since: now, links: this.netlink.links(), mtus: new Map() };
    }
    return this.#asked;
  }
}
