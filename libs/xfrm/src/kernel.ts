import type { EncryptionAlgorithm, IntegrityAlgorithm } from "@sallyport/base";
import type {
  AddressSpec,
  Adopted,
  Capabilities,
  DataPlane,
  DataPlaneEvent,
  PolicyDirection,
  PolicySpec,
  RouteSpec,
  SaId,
  SaSpec,
  SaState,
  Selector,
  SourceNatSpec,
} from "@sallyport/dataplane";
import { MssClamp, NetlinkReader, type NetlinkSocket, SourceNat } from "@sallyport/linux-io";
import { EventQueue, openEvents } from "./events.js";
import { fault, hasErrno } from "./faults.js";
import { Fitting } from "./fitting.js";
import { moveSa, type Target } from "./move.js";
import { inTurns, saKey, saText, XfrmNetlink } from "./netlink.js";
import { OptionalPolicies } from "./optional-policies.js";
import { probe, tryAlgorithm } from "./probe.js";
import { Registry } from "./registry.js";
import { TunnelRoutes } from "./routes.js";
import { readStatistics } from "./statistics.js";
import { checkPolicy, checkSa } from "./validate.js";
import { isOwned, XFRM_MSG } from "./wire/constants.js";
import { encodePolicy, encodePolicyId } from "./wire/policy.js";
import { decodeSa, encodeSa, encodeSpiRequest, type SpiRequest } from "./wire/sa.js";

/**
 * The data plane of the Linux kernel, through netlink, in the network namespace of the process. Requests that are made
 * together go to the kernel together: thousands of SAs need no waiting for each.
 */
export class KernelDataPlane implements DataPlane {
  readonly #netlink: XfrmNetlink;
  readonly #routes: TunnelRoutes;
  readonly #nat = new SourceNat();
  readonly #clamp: MssClamp;
  readonly #fitting: Fitting;
  readonly #events = new EventQueue();
  readonly #registry = new Registry(() => performance.now());
  readonly #optional = new OptionalPolicies();
  /** Requests that ask for an SA of an SA on the move. */
  readonly #moving = new Set<number>();
  readonly #tried = new Map<string, Promise<string | undefined>>();
  #listening: NetlinkSocket | undefined;

  private constructor(
    netlink: XfrmNetlink,
    routes: TunnelRoutes,
    readonly capabilities: Capabilities,
    unclamped: (reason: string) => void,
  ) {
    this.#netlink = netlink;
    this.#routes = routes;
    this.#clamp = new MssClamp(unclamped);
    this.#fitting = new Fitting(routes, this.#clamp);
  }

  /**
   * `dataplane/unsupported` when the kernel has no ESP or the process not the right. With `everyAlgorithm` the capabilities
   * tell which algorithms the kernel has, at the price of loading them all. `onUnclamped` hears why TCP's maximum segment size cannot
   * be lowered on this machine.
   */
  static async open(
    options: { everyAlgorithm?: boolean; onUnclamped?: (reason: string) => void } = {},
  ): Promise<KernelDataPlane> {
    const netlink = new XfrmNetlink();
    try {
      const plane = new KernelDataPlane(
        netlink,
        TunnelRoutes.open(),
        await probe(netlink, options.everyAlgorithm ?? false),
        options.onUnclamped ?? (() => undefined),
      );
      plane.#listening = openEvents(
        (event) => plane.#received(event),
        () => void plane.#resynchronise(),
      );
      return plane;
    } catch (error) {
      netlink.close();
      throw error;
    }
  }

  #received(event: DataPlaneEvent): void {
    if (event.on === "acquire" && this.#moving.has(event.reqid)) return;
    if (event.on === "mapping-changed" && !this.#registry.get(event.sa)) return;
    if (event.on === "expire" && event.hard) this.#forget(event.sa);
    this.#events.push(event);
  }

  #forget(id: SaId): void {
    this.#registry.delete(id);
    this.#fitting.removed(id);
    for (const policy of this.#optional.removed(saKey(id))) void this.#putPolicy(policy).catch(() => undefined);
  }

  /** Events were lost: tells of the SAs that the kernel removed meanwhile. */
  async #resynchronise(): Promise<void> {
    const present = new Set((await this.#netlink.ownSas().catch(() => [])).map(saKey));
    if (present.size === 0 && !this.#listening) return;
    for (const { id, reqid } of this.#registry.entries()) {
      if (!present.has(saKey(id))) this.#received({ on: "expire", sa: id, reqid, hard: true });
    }
  }

  tryAlgorithm(algorithm: EncryptionAlgorithm | IntegrityAlgorithm): Promise<string | undefined> {
    const known = this.#tried.get(algorithm);
    if (known) return known;
    const answer = tryAlgorithm(this.#netlink, algorithm).then((errno) => (errno === "" ? undefined : errno));
    this.#tried.set(algorithm, answer);
    answer.catch(() => this.#tried.delete(algorithm));
    return answer;
  }

  async adopt(): Promise<Adopted> {
    const [sas, policies, addresses] = await Promise.all([
      this.#netlink.ownSas(),
      this.#netlink.ownPolicies(),
      this.#routes.addresses(),
      this.#nat.clear(),
    ]);
    const states = sas.map((sa) => this.#registry.state(sa));
    // Rules of the run that left them are taken over, and go with `flush`.
    if (states.length > 0) void this.#clamp.start();
    states.forEach((state, index) => {
      const sa = sas[index];
      if (!sa) return;
      this.#registry.add(state, state.reqid, state.direction, undefined, state.ageSeconds);
      this.#optional.added(saKey(sa), sa);
    });
    return { sas: states, policies, addresses };
  }

  async allocateSpi(request: SpiRequest): Promise<number> {
    const doing = `reserving an SPI for ${request.destination}`;
    const [answer] = await this.#netlink.request(XFRM_MSG.allocSpi, encodeSpiRequest(request), doing, "destination");
    if (!answer) throw fault("dataplane/failed", `${doing} failed: no answer`);
    const spi = new NetlinkReader(answer.body).skip(72).be32("spi");
    this.#registry.reserve({ destination: request.destination, protocol: request.protocol, spi });
    return spi;
  }

  async installSa(sa: SaSpec): Promise<void> {
    checkSa(sa);
    await this.#addSa(sa);
    this.#registry.add(sa, sa.reqid, sa.direction);
    await Promise.all([this.#putPolicies(this.#optional.added(saKey(sa), sa)), this.#fitting.added(sa)]);
  }

  async #addSa(sa: SaSpec): Promise<void> {
    const doing = `adding SA ${saText(sa)}`;
    if (this.#registry.isReserved(sa)) {
      try {
        await this.#netlink.request(XFRM_MSG.updSa, encodeSa(sa), doing, "sa");
        return;
      } catch (error) {
        // The reservation lapsed.
        if (!hasErrno(error, "ESRCH")) throw error;
      }
    }
    await this.#netlink.request(XFRM_MSG.newSa, encodeSa(sa), doing, "sa");
  }

  async moveSa(id: SaId, to: Target): Promise<void> {
    const reqid = this.#registry.get(id)?.reqid;
    if (reqid !== undefined) this.#moving.add(reqid);
    try {
      const { before, anew } = await moveSa(this.#netlink, id, to);
      await this.#fitting.moved(id, to);
      if (!anew) return;
      const { bytes, packets, ageSeconds } = this.#registry.state(before);
      const moved = { ...id, destination: to.destination };
      this.#registry.delete(id);
      this.#registry.add(moved, before.reqid, before.direction, { bytes, packets }, ageSeconds);
      const changed = [
        ...this.#optional.added(saKey(moved), { ...before, ...to }),
        ...(saKey(moved) === saKey(id) ? [] : this.#optional.removed(saKey(id))),
      ];
      await this.#putPolicies(changed);
    } finally {
      if (reqid !== undefined) this.#moving.delete(reqid);
    }
  }

  async removeSa(id: SaId): Promise<void> {
    const known = this.#registry.get(id) !== undefined || this.#registry.isReserved(id);
    if (known || (await this.querySa(id))) await this.#netlink.removeSa(id);
    this.#registry.delete(id);
    this.#fitting.removed(id);
    await this.#putPolicies(this.#optional.removed(saKey(id)));
  }

  async querySa(id: SaId): Promise<SaState | undefined> {
    const body = await this.#netlink.readSa(id);
    if (!body) return undefined;
    const sa = decodeSa(body);
    body.fill(0);
    return isOwned(sa.user) ? this.#registry.state(sa) : undefined;
  }

  async listSas(): Promise<SaState[]> {
    return inTurns(await this.#netlink.ownSas(), (sa) => this.#registry.state(sa));
  }

  async installPolicy(policy: PolicySpec): Promise<void> {
    checkPolicy(policy);
    if (OptionalPolicies.applies(policy)) {
      await this.#putPolicy(this.#optional.set(policy));
    } else {
      this.#optional.delete(policy);
      await this.#putPolicy(policy);
    }
  }

  async #putPolicy(policy: PolicySpec): Promise<void> {
    const doing = `setting the policy ${policy.direction} ${policy.selector.source} → ${policy.selector.destination}`;
    await this.#netlink.request(XFRM_MSG.updPolicy, encodePolicy(policy), doing, "policy");
  }

  async #putPolicies(policies: readonly PolicySpec[]): Promise<void> {
    await Promise.all(policies.map((policy) => this.#putPolicy(policy)));
  }

  async removePolicy(direction: PolicyDirection, selector: Selector): Promise<void> {
    this.#optional.delete({ direction, selector });
    const doing = `removing the policy ${direction} ${selector.source} → ${selector.destination}`;
    await this.#netlink.remove(XFRM_MSG.delPolicy, encodePolicyId(direction, selector), doing, "selector");
  }

  async listPolicies(): Promise<PolicySpec[]> {
    return (await this.#netlink.ownPolicies()).map((policy) => this.#optional.asked(policy));
  }

  installRoute(route: RouteSpec): Promise<void> {
    return this.#routes.install(route);
  }

  removeRoute(route: RouteSpec): Promise<void> {
    return this.#routes.remove(route);
  }

  installAddress(address: AddressSpec): Promise<void> {
    return this.#routes.installAddress(address);
  }

  removeAddress(address: AddressSpec): Promise<void> {
    return this.#routes.removeAddress(address);
  }

  async installSourceNat(nat: SourceNatSpec): Promise<void> {
    try {
      await this.#nat.install(nat);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw fault("dataplane/unsupported", message, { field: "sourceNat", value: String(nat.to ?? nat.source), cause });
    }
  }

  async removeSourceNat(nat: SourceNatSpec): Promise<void> {
    await this.#nat.remove(nat);
  }

  listen(listener: (event: DataPlaneEvent) => void): void {
    this.#events.listen(listener);
  }

  statistics(): Promise<Readonly<Record<string, bigint>>> {
    return readStatistics();
  }

  async flush(): Promise<void> {
    this.#optional.clear();
    const [sas, policies] = await Promise.all([this.#netlink.ownSas(), this.#netlink.ownPolicies()]);
    await Promise.all([
      ...policies.map((policy) => this.removePolicy(policy.direction, policy.selector)),
      ...sas.map((sa) => this.#netlink.removeSa(sa)),
      ...this.#registry.reservations().map((id) => this.#netlink.removeSa(id)),
      this.#routes.flush(),
      this.#nat.clear(),
      this.#clamp.clear(),
    ]);
    this.#registry.clear();
    this.#fitting.clear();
  }

  async close(options: { keep: boolean }): Promise<void> {
    if (!options.keep) await this.flush();
    this.#listening?.close();
    this.#listening = undefined;
    this.#routes.close();
    this.#netlink.close();
  }
}
