import { networkInterfaces } from "node:os";
import { IpAddress } from "@sallyport/base";
import { type NetworkWatch, watchNetwork } from "@sallyport/linux-io";

/** Changes that come together are told once, this long after the first. */
const GATHER_MS = 50;

/** Addresses of this machine from which messages can be sent, without link-local ones and `virtual`, which peers gave. */
export function ownAddresses(virtual: readonly IpAddress[]): IpAddress[] {
  const given = new Set(virtual.map(String));
  const found = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return found.filter((a) => !a.scopeid && !given.has(a.address)).map((a) => IpAddress.parse(a.address));
}

/** Hears from the kernel that links, addresses or routes have changed. */
export class NetworkWatcher {
  readonly #watch: NetworkWatch;
  #timer: NodeJS.Timeout | undefined;

  /** Routes of `ownTables` do not count. */
  constructor(ownTables: readonly number[], changed: () => void) {
    this.#watch = watchNetwork(() => {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        changed();
      }, GATHER_MS);
    }, ownTables);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watch.close();
  }
}
