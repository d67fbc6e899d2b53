import { randomBytes } from "node:crypto";
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  type Family,
  INTEGRITY,
  type IntegrityAlgorithm,
  type IpAddress,
  Prefix,
} from "@sallyport/base";
import type { IpsecProtocol, PolicyLevel, PolicySpec, SaId, SaMode, SaSpec, Selector } from "../types.js";
import type { GatewayUnderTest, PairUnderTest } from "./types.js";

export interface TunnelOptions {
  readonly encryption?: EncryptionAlgorithm;
  readonly keyBits?: number;
  readonly integrity?: IntegrityAlgorithm;
  readonly protocol?: IpsecProtocol;
  readonly mode?: SaMode;
  /** Of the addresses between the gateways, and of the traffic. */
  readonly outer?: Family;
  readonly inner?: Family;
  readonly encapsulated?: boolean;
  readonly reqid?: number;
  readonly level?: PolicyLevel;
  /** Taken over by all four SAs. */
  readonly sa?: Partial<Pick<SaSpec, "esn" | "replayWindow" | "lifetime" | "initialSequence" | "dontFragment" | "tfc">>;
  /** Lifetime of the left gateway's outbound SA alone. */
  readonly leftOutLifetime?: SaSpec["lifetime"];
  readonly priority?: number;
  /** Narrows the traffic from left to right. */
  readonly selector?: Partial<Omit<Selector, "source" | "destination">>;
}

/** The SAs of one tunnel: what each gateway sends and accepts. */
export interface TunnelSas {
  /** From left to right: installed outbound at left and inbound at right. */
  readonly rightward: { readonly out: SaSpec; readonly in: SaSpec };
  readonly leftward: { readonly out: SaSpec; readonly in: SaSpec };
}

let lastReqid = 1000;
export const freshReqid = (): number => ++lastReqid;

/** A key of the algorithm's (or the given) size, salt included. */
export function encryptionKey(algorithm: EncryptionAlgorithm, keyBits?: number) {
  const info = ENCRYPTION[algorithm];
  return { algorithm, key: new Uint8Array(randomBytes((keyBits ?? info.keyBits[0] ?? 0) / 8 + info.saltBytes)) };
}

export function integrityKey(algorithm: IntegrityAlgorithm) {
  return { algorithm, key: new Uint8Array(randomBytes(INTEGRITY[algorithm].keyBytes)) };
}

function keysFor(options: TunnelOptions): Pick<SaSpec, "encryption" | "integrity"> {
  const ah = options.protocol === "ah";
  const algorithm = options.encryption ?? (ah ? "null" : "aes-gcm-16");
  const encryption = encryptionKey(algorithm, options.keyBits);
  if (ENCRYPTION[algorithm].icvBytes > 0) return { encryption };
  return { encryption, integrity: integrityKey(options.integrity ?? "hmac-sha2-256-128") };
}

/** Both gateways' copy of one SA from `from` to `to`; the receiver chooses the SPI. */
async function oneWay(from: GatewayUnderTest, to: GatewayUnderTest, reqid: number, options: TunnelOptions) {
  const family = options.outer ?? 4;
  const { protocol = "esp", mode = "tunnel" } = options;
  const [source, destination] = [from.outer[family], to.outer[family]];
  const spi = await to.dataPlane.allocateSpi({ source, destination, protocol, mode, reqid });
  const encapsulated = protocol === "esp" && (options.encapsulated || from.dataPlane.capabilities.forcesEncapsulation);
  const common = {
    ...keysFor(options),
    source,
    destination,
    protocol,
    mode,
    reqid,
    spi,
    esn: false,
    replayWindow: 64,
    // No case sends TCP, and the rules of every tunnel would cost a guest more than the case does.
    clampMss: false,
    lifetime: {},
    selectors: mode === "tunnel" ? [selectorOf(from, to, options)] : [],
    ...(encapsulated ? { encapsulation: { sourcePort: 4500, destinationPort: 4500 } } : {}),
    ...options.sa,
  } as const;
  return { out: { ...common, direction: "out" }, in: { ...common, direction: "in" } } as const;
}

/** Traffic between the networks (tunnel mode) or the gateways themselves (transport mode). */
export function selectorOf(from: GatewayUnderTest, to: GatewayUnderTest, options: TunnelOptions): Selector {
  const inner = options.inner ?? 4;
  const host = (address: IpAddress) => Prefix.of(address, address.bytes.length * 8);
  const [source, destination] =
    options.mode === "transport"
      ? [host(from.outer[options.outer ?? 4]), host(to.outer[options.outer ?? 4])]
      : [from.network[inner], to.network[inner]];
  const { protocol = 0, sourcePort, destinationPort, sourcePortBits, destinationPortBits } = options.selector ?? {};
  const rightward = from.name === "left";
  const [near, far] = rightward ? [sourcePort, destinationPort] : [destinationPort, sourcePort];
  const [nearBits, farBits] = rightward ? [sourcePortBits, destinationPortBits] : [destinationPortBits, sourcePortBits];
  return {
    source,
    destination,
    protocol,
    ...(near === undefined ? {} : { sourcePort: near }),
    ...(far === undefined ? {} : { destinationPort: far }),
    ...(nearBits === undefined ? {} : { sourcePortBits: nearBits }),
    ...(farBits === undefined ? {} : { destinationPortBits: farBits }),
  };
}

/** SAs for both directions, not installed yet, on reserved SPIs. */
export async function makeSas(pair: PairUnderTest, reqid: number, options: TunnelOptions = {}): Promise<TunnelSas> {
  const [rightward, leftward] = await Promise.all([
    oneWay(pair.left, pair.right, reqid, options),
    oneWay(pair.right, pair.left, reqid, options),
  ]);
  const { leftOutLifetime } = options;
  if (!leftOutLifetime) return { rightward, leftward };
  return { rightward: { ...rightward, out: { ...rightward.out, lifetime: leftOutLifetime } }, leftward };
}

/** As IKE does it: who receives is ready before anyone sends. */
export async function installSas(pair: PairUnderTest, sas: TunnelSas): Promise<void> {
  await Promise.all([pair.right.dataPlane.installSa(sas.rightward.in), pair.left.dataPlane.installSa(sas.leftward.in)]);
  await Promise.all([
    pair.left.dataPlane.installSa(sas.rightward.out),
    pair.right.dataPlane.installSa(sas.leftward.out),
  ]);
}

export async function removeSas(pair: PairUnderTest, sas: TunnelSas): Promise<void> {
  await Promise.all([pair.left.dataPlane.removeSa(sas.rightward.out), pair.right.dataPlane.removeSa(sas.leftward.out)]);
  await Promise.all([pair.right.dataPlane.removeSa(sas.rightward.in), pair.left.dataPlane.removeSa(sas.leftward.in)]);
}

/** Out, in and forward policies of one gateway for the tunnel to the other. */
export function policiesFor(
  here: GatewayUnderTest,
  there: GatewayUnderTest,
  reqid: number,
  options: TunnelOptions = {},
  ends = { here: here.outer[options.outer ?? 4], there: there.outer[options.outer ?? 4] },
): PolicySpec[] {
  const { protocol = "esp", mode = "tunnel", level = "require", priority = 1000 } = options;
  const common = { protocol, mode, reqid, level };
  const outward = { ...common, source: ends.here, destination: ends.there };
  const inward = { ...common, source: ends.there, destination: ends.here };
  const arriving = selectorOf(there, here, options);
  const policies: PolicySpec[] = [
    { direction: "out", selector: selectorOf(here, there, options), action: "encrypt", priority, template: outward },
    { direction: "in", selector: arriving, action: "encrypt", priority, template: inward },
  ];
  if (mode === "tunnel") {
    policies.push({ direction: "fwd", selector: arriving, action: "encrypt", priority, template: inward });
  }
  return policies;
}

export async function installPolicies(pair: PairUnderTest, reqid: number, options: TunnelOptions = {}): Promise<void> {
  const put = (here: GatewayUnderTest, there: GatewayUnderTest) =>
    policiesFor(here, there, reqid, options).map((policy) => here.dataPlane.installPolicy(policy));
  await Promise.all([...put(pair.left, pair.right), ...put(pair.right, pair.left)]);
}

/** The way from each gateway to the other's network. */
export async function installRoutes(pair: PairUnderTest, options: TunnelOptions = {}): Promise<void> {
  if (options.mode === "transport") return;
  const { outer = 4, inner = 4 } = options;
  const put = (here: GatewayUnderTest, there: GatewayUnderTest) =>
    here.dataPlane.installRoute({ destination: there.network[inner], via: there.outer[outer] });
  await Promise.all([put(pair.left, pair.right), put(pair.right, pair.left)]);
}

/** A whole tunnel: policies, routes and SAs. */
export async function openTunnel(pair: PairUnderTest, options: TunnelOptions = {}) {
  const reqid = options.reqid ?? freshReqid();
  const sas = await makeSas(pair, reqid, options);
  await Promise.all([installPolicies(pair, reqid, options), installRoutes(pair, options)]);
  await installSas(pair, sas);
  return { ...sas, reqid };
}

export const sameSa = (a: SaId, b: SaId): boolean =>
  a.spi === b.spi && a.protocol === b.protocol && a.destination.equals(b.destination);
