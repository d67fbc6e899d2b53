import { ENCRYPTION, INTEGRITY, type IpAddress, largestInner } from "@sallyport/base";
import type { SaId, SaSpec } from "@sallyport/dataplane";
import type { MssClamp } from "@sallyport/linux-io";
import { saKey } from "./netlink.js";
import type { TunnelRoutes } from "./routes.js";

type Path = Pick<SaSpec, "destination" | "encapsulation">;

interface Known {
  readonly via: IpAddress;
  readonly sizes: { readonly ivBytes: number; readonly alignment: number; readonly icvBytes: number };
  readonly reqid: number;
  readonly spared: boolean;
  readonly pathMtu: number;
}

/**
 * What fits into tunnels. The kernel itself answers forwarded packets that do not (RFC 4301 §8.2); routes and TCP have to be told. None
 * of it is needed to carry packets, so that no failure here fails an SA.
 */
export class Fitting {
  readonly #known = new Map<string, Known>();

  constructor(
    private readonly routes: Pick<TunnelRoutes, "pathMtu" | "fits" | "forget">,
    private readonly clamp: Pick<MssClamp, "start" | "spare" | "unspare">,
  ) {}

  async added(sa: SaSpec): Promise<void> {
    if (sa.direction !== "out" || sa.mode !== "tunnel" || sa.protocol !== "esp") return;
    const cipher = ENCRYPTION[sa.encryption.algorithm];
    const icvBytes = sa.integrity ? INTEGRITY[sa.integrity.algorithm].icvBytes : cipher.icvBytes;
    const known: Known = {
      via: sa.destination,
      sizes: { ivBytes: cipher.ivBytes, alignment: Math.max(4, cipher.blockBytes), icvBytes },
      reqid: sa.reqid,
      spared: sa.clampMss === false,
      pathMtu: sa.pathMtu ?? Number.POSITIVE_INFINITY,
    };
    this.#known.set(saKey(sa), known);
    // Loading rules takes a process; packets need not wait for it.
    if (known.spared) void this.clamp.spare(sa.reqid);
    else void this.clamp.start();
    await this.#tell(known, sa);
  }

  async moved(id: SaId, to: Path): Promise<void> {
    const known = this.#known.get(saKey(id));
    if (!known) return;
    this.#known.delete(saKey(id));
    this.routes.forget(known.via);
    const moved = { ...known, via: to.destination };
    this.#known.set(saKey({ ...id, destination: to.destination }), moved);
    await this.#tell(moved, to);
  }

  removed(id: SaId): void {
    const known = this.#known.get(saKey(id));
    if (!known) return;
    this.#known.delete(saKey(id));
    this.routes.forget(known.via);
    if (known.spared) void this.clamp.unspare(known.reqid);
  }

  clear(): void {
    this.#known.clear();
  }

  async #tell({ via, sizes, pathMtu }: Known, { encapsulation }: Path): Promise<void> {
    try {
      const mtu = Math.min(await this.routes.pathMtu(via), pathMtu);
      if (!Number.isFinite(mtu)) return this.routes.fits(via, undefined);
      const inner = largestInner(mtu, { family: via.family, encapsulated: encapsulation !== undefined, ...sizes });
      await this.routes.fits(via, inner);
    } catch {
      // Routes stay as they are: longer packets are still answered or cut one by one.
    }
  }
}
