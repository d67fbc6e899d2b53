import { createSocket, type Socket } from "node:dgram";
import { type Clock, IpAddress } from "@sallyport/base";
import type { Lessee } from "@sallyport/ike";
import { acknowledge, parseInform } from "./dhcp-message.js";
import type { Logger } from "./log.js";

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** A client repeats itself a few times; more than this in one window is not answered (hostile input 21). */
const PER_CLIENT = 8;
const PER_WINDOW = 2_000;
const WINDOW_MS = 10_000;

export interface DhcpResponderOptions {
  /** Who holds a virtual address. */
  readonly lessee: (address: IpAddress) => Lessee | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Tells callers which networks they reach through the tunnel: Windows takes no networks from IKE and asks by DHCPINFORM inside the
 * tunnel instead (CLI-04). Nobody is answered but who holds an address of ours; that such a packet came through the tunnel is what
 * the policies for that address see to.
 */
export class DhcpResponder {
  #socket: Socket | undefined;
  #since = 0;
  #answered = 0;
  readonly #perClient = new Map<string, number>();

  constructor(private readonly options: DhcpResponderOptions) {}

  /** Opens or closes the socket. A port that somebody else has is told of, and tried again at the next call. */
  listen(wanted: boolean): void {
    if (!wanted) {
      this.close();
      return;
    }
    if (this.#socket) return;
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    this.#socket = socket;
    socket.on("message", (data, from) => this.#received(data, from.address, from.port));
    socket.on("error", (err) => {
      this.options.log.warn({ err, port: SERVER_PORT }, "DHCPINFORM of callers is not answered");
      this.close();
    });
    socket.bind(SERVER_PORT);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #received(data: Uint8Array, source: string, port: number): void {
    const inform = parseInform(data);
    if (!inform || port !== CLIENT_PORT || inform.client.toString() !== source) return;
    const lessee = this.options.lessee(IpAddress.parse(source));
    if (!lessee || !this.#mayAnswer(source)) return;
    const { dns, domains, subnets } = lessee.virtual;
    if (lessee.local.family !== 4) return;
    const answer = acknowledge(inform, { server: lessee.local, dns, domain: domains[0], routes: subnets });
    this.#socket?.send(answer, CLIENT_PORT, source, () => undefined);
  }

  #mayAnswer(source: string): boolean {
    const now = this.options.clock.now();
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now;
      this.#answered = 0;
      this.#perClient.clear();
    }
    const count = this.#perClient.get(source) ?? 0;
    if (count >= PER_CLIENT || this.#answered >= PER_WINDOW) return false;
    this.#perClient.set(source, count + 1);
    this.#answered++;
    return true;
  }
}
