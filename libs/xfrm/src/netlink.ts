import type { PolicySpec, SaId } from "@sallyport/dataplane";
import { NETLINK, type NetlinkMessage, NetlinkSocket } from "@sallyport/linux-io";
import { hasErrno, translated } from "./faults.js";
import { isOwned, XFRM_MSG } from "./wire/constants.js";
import { decodePolicy } from "./wire/policy.js";
import { decodeSa, encodeSaId, type KernelSa } from "./wire/sa.js";

/** SAs that are worked on before others have their turn: there may be tens of thousands. */
const SAS_AT_ONCE = 256;

export async function inTurns<T, R>(list: readonly T[], of: (item: T) => R): Promise<R[]> {
  const out: R[] = [];
  for (const item of list) if (out.push(of(item)) % SAS_AT_ONCE === 0) await new Promise(setImmediate);
  return out;
}

/** Requests to the kernel's SAD and SPD, with refusals turned into the port's faults. */
export class XfrmNetlink {
  readonly #socket: NetlinkSocket = NetlinkSocket.open({ protocol: NETLINK.xfrm });

  /** `field` is what to blame when the kernel does not say. The body is wiped: it may hold keys. */
  async request(type: number, body: Uint8Array, doing: string, field: string): Promise<NetlinkMessage[]> {
    try {
      return await this.#socket.request(type, 0, body, doing);
    } catch (error) {
      throw translated(error, body, field);
    } finally {
      body.fill(0);
    }
  }

  /** As `request`; false when the kernel knows no such entry. */
  async remove(type: number, body: Uint8Array, doing: string, field: string): Promise<boolean> {
    try {
      await this.request(type, body, doing, field);
      return true;
    } catch (error) {
      if (hasErrno(error, "ESRCH", "ENOENT")) return false;
      throw error;
    }
  }

  /** The kernel's own words for an SA: fixed part and attributes, keys included. */
  async readSa(id: SaId): Promise<Uint8Array | undefined> {
    const body = encodeSaId(id);
    try {
      const [answer] = await this.request(XFRM_MSG.getSa, body, `reading SA ${saText(id)}`, "spi");
      return answer?.body;
    } catch (error) {
      if (hasErrno(error, "ESRCH", "ENOENT")) return undefined;
      throw error;
    }
  }

  removeSa(id: SaId): Promise<boolean> {
    return this.remove(XFRM_MSG.delSa, encodeSaId(id), `removing SA ${saText(id)}`, "spi");
  }

  /** All SAs that carry our mark. */
  async ownSas(): Promise<KernelSa[]> {
    const messages = await this.#dump(XFRM_MSG.getSa, "listing SAs");
    const sas = await inTurns(messages, ({ body }) => {
      const sa = decodeSa(body);
      body.fill(0);
      return sa;
    });
    return sas.filter((sa) => isOwned(sa.user));
  }

  async ownPolicies(): Promise<PolicySpec[]> {
    const messages = await this.#dump(XFRM_MSG.getPolicy, "listing policies");
    return messages.map(({ body }) => decodePolicy(body)).filter((policy) => policy !== undefined);
  }

  async #dump(type: number, doing: string): Promise<NetlinkMessage[]> {
    try {
      return await this.#socket.dump(type, new Uint8Array(0), doing);
    } catch (error) {
      throw translated(error, new Uint8Array(0), "dump");
    }
  }

  close(): void {
    this.#socket.close();
  }
}

export const saText = (id: SaId): string => `${id.protocol} 0x${id.spi.toString(16)} to ${id.destination}`;
/** Joined and not a template, which would stay a tree of its parts, several times as large, as long as it is a key. */
export const saKey = (id: SaId): string => [id.protocol, id.spi, id.destination].join(" ");
