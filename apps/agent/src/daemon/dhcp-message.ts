import { IpAddress, type Prefix, Writer } from "@sallyport/base";

const HEADER = 236;
const MAGIC = [99, 130, 83, 99] as const;
const REQUEST = 1;
const REPLY = 2;
const INFORM = 8;
const ACK = 5;
/** Longer messages than this are nobody's question. */
const MAX_REQUEST = 1_500;
/** Fits through a tunnel without fragments. */
const MAX_REPLY = 1_200;

/** Options, RFC 2132 and RFC 3442; 249 is what Windows called 121 before there was one. */
const OPTION = {
  pad: 0,
  netmask: 1,
  dns: 6,
  domain: 15,
  type: 53,
  server: 54,
  wanted: 55,
  routes: 121,
  windowsRoutes: 249,
  end: 255,
} as const;

/** A DHCPINFORM, RFC 2131 §4.4.3. */
export interface Inform {
  /** The address that the client has. */
  readonly client: IpAddress;
  /** Octets that the answer repeats: transaction, hardware address. */
  readonly xid: Uint8Array;
  readonly flags: Uint8Array;
  readonly hardware: { readonly type: number; readonly length: number; readonly address: Uint8Array };
  /** Options that it asks for; empty: it did not say. */
  readonly wanted: readonly number[];
}

/** Undefined for everything that is no well-formed DHCPINFORM. */
export function parseInform(data: Uint8Array): Inform | undefined {
  if (data.length < HEADER + MAGIC.length || data.length > MAX_REQUEST) return undefined;
  const [op, type = 0, length = 0] = data;
  if (op !== REQUEST || length > 16 || MAGIC.some((octet, i) => data[HEADER + i] !== octet)) return undefined;
  let kind: number | undefined;
  let wanted: readonly number[] = [];
  for (let at = HEADER + MAGIC.length; at < data.length; ) {
    const code = data[at++];
    if (code === OPTION.end) break;
    if (code === OPTION.pad) continue;
    const size = data[at++];
    if (size === undefined || at + size > data.length) return undefined;
    if (code === OPTION.type && size === 1) kind = data[at];
    if (code === OPTION.wanted) wanted = [...data.subarray(at, at + size)];
    at += size;
  }
  if (kind !== INFORM) return undefined;
  return {
    client: IpAddress.from(data.subarray(12, 16)),
    xid: data.slice(4, 8),
    flags: data.slice(10, 12),
    hardware: { type, length, address: data.slice(28, 44) },
    wanted,
  };
}

/** What a client is told. */
export interface Told {
  /** Whom it asked. */
  readonly server: IpAddress;
  readonly dns: readonly IpAddress[];
  readonly domain: string | undefined;
  /** Networks that it reaches through the tunnel. */
  readonly routes: readonly Prefix[];
}

/** DHCPACK without an address, as DHCPINFORM is answered. As many routes as fit are told. */
export function acknowledge(inform: Inform, told: Told): Uint8Array {
  const w = new Writer(512);
  const { type, length, address } = inform.hardware;
  w.u8(REPLY).u8(type).u8(length).u8(0).bytes(inform.xid).zero(2).bytes(inform.flags);
  w.bytes(inform.client.bytes).zero(12).bytes(address).zero(192).bytes(Uint8Array.from(MAGIC));
  const put = (code: number, value: Uint8Array) => {
    // RFC 3396: a longer value goes on in another option of the same code.
    for (let at = 0; at < value.length; at += 255) {
      const part = value.subarray(at, at + 255);
      w.u8(code).u8(part.length).bytes(part);
    }
  };
  const asks = (code: number) => inform.wanted.length === 0 || inform.wanted.includes(code);
  const dns = told.dns.filter((a) => a.family === 4);
  put(OPTION.type, Uint8Array.of(ACK));
  put(OPTION.server, told.server.bytes);
  put(OPTION.netmask, Uint8Array.of(255, 255, 255, 255));
  if (asks(OPTION.dns)) put(OPTION.dns, Uint8Array.from(dns.flatMap((a) => [...a.bytes])));
  if (told.domain !== undefined && asks(OPTION.domain)) put(OPTION.domain, new TextEncoder().encode(told.domain));
  const codes = [OPTION.windowsRoutes, OPTION.routes].filter(asks);
  const room = Math.floor((MAX_REPLY - w.length - 1) / Math.max(1, codes.length));
  const routes = routesValue(told.routes, room);
  for (const code of codes) put(code, routes);
  return w.u8(OPTION.end).done();
}

/** RFC 3442: length, the octets of the network that count, router; 0.0.0.0 is the link itself, which a tunnel is. */
function routesValue(routes: readonly Prefix[], room: number): Uint8Array {
  const out: number[] = [];
  for (const { family, address, length } of routes) {
    if (family !== 4) continue;
    const entry = [length, ...address.bytes.subarray(0, Math.ceil(length / 8)), 0, 0, 0, 0];
    const octets = out.length + entry.length;
    if (octets + 2 * Math.ceil(octets / 255) > room) break;
    out.push(...entry);
  }
  return Uint8Array.from(out);
}
