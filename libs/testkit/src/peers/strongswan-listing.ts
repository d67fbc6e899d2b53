import type { ChildView, IkeView } from "./peer.js";
import type { ViciReply, ViciReplyValue } from "./vici-codec.js";

/** A CHILD SA as charon lists it; its suite e.g. `AES_GCM_16-256/CURVE_25519`. */
export interface PeerChildSa extends ChildView {
  readonly mode: string;
  readonly protocol: string;
  readonly encapsulated: boolean;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly reqid: number;
  readonly esn: boolean;
  /** Seconds since it was installed and until it is rekeyed or ends; undefined where there is no limit. */
  readonly installedSeconds: number;
  readonly rekeySeconds: number | undefined;
  readonly lifeSeconds: number | undefined;
}

/** An IKE SA as charon lists it; its suite e.g. `AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256`. */
export interface PeerIkeSa extends IkeView {
  readonly version: string;
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly localHost: string;
  readonly localPort: number;
  readonly remoteHost: string;
  readonly remotePort: number;
  readonly localId: string;
  /** Virtual addresses of either end. */
  readonly localVips: readonly string[];
  readonly remoteVips: readonly string[];
  /** The far end's EAP identity, empty when it used none. */
  readonly remoteEapId: string;
  readonly nat: { readonly local: boolean; readonly remote: boolean };
  /** Whether a PPK went into the keys (RFC 8784). */
  readonly ppk: boolean;
  /** Seconds since it was established and until it is rekeyed or authenticated anew; undefined where that never happens. */
  readonly establishedSeconds: number;
  readonly rekeySeconds: number | undefined;
  readonly reauthSeconds: number | undefined;
  /** Exchanges under way and waiting. */
  readonly tasks: readonly string[];
  readonly children: readonly PeerChildSa[];
}

const text = (value: ViciReplyValue | undefined) => (typeof value === "string" ? value : "");
const list = (value: ViciReplyValue | undefined) => (Array.isArray(value) ? value : []);
const section = (value: ViciReplyValue | undefined): ViciReply =>
  typeof value === "object" && !Array.isArray(value) ? value : {};

const seconds = (value: ViciReplyValue | undefined) => (value === undefined ? undefined : Number(text(value)));

const cipher = (sa: ViciReply) => [text(sa["encr-alg"]), text(sa["encr-keysize"])].filter(Boolean).join("-");
const suite = (...parts: string[]) => parts.filter(Boolean).join("/");

function child(sa: ViciReply): PeerChildSa {
  return {
    name: text(sa.name),
    uniqueId: text(sa.uniqueid),
    state: text(sa.state),
    mode: text(sa.mode),
    protocol: text(sa.protocol),
    encapsulated: sa.encap === "yes",
    spiIn: Number.parseInt(text(sa["spi-in"]), 16),
    spiOut: Number.parseInt(text(sa["spi-out"]), 16),
    suite: suite(cipher(sa), text(sa["integ-alg"]), text(sa["dh-group"])),
    packetsIn: Number(text(sa["packets-in"])),
    packetsOut: Number(text(sa["packets-out"])),
    bytesIn: Number(text(sa["bytes-in"])),
    bytesOut: Number(text(sa["bytes-out"])),
    localTs: list(sa["local-ts"]),
    remoteTs: list(sa["remote-ts"]),
    reqid: Number(text(sa.reqid)),
    esn: sa.esn === "1",
    installedSeconds: Number(text(sa["install-time"])),
    rekeySeconds: seconds(sa["rekey-time"]),
    lifeSeconds: seconds(sa["life-time"]),
  };
}

/** One `list-sa` event holds one IKE SA under the name of its connection. */
export function readListing(event: ViciReply): PeerIkeSa[] {
  return Object.entries(event).map(([name, value]) => {
    const sa = section(value);
    return {
      name,
      uniqueId: text(sa.uniqueid),
      version: text(sa.version),
      state: text(sa.state),
      initiator: sa.initiator === "yes",
      initiatorSpi: text(sa["initiator-spi"]),
      responderSpi: text(sa["responder-spi"]),
      localHost: text(sa["local-host"]),
      localPort: Number(text(sa["local-port"])),
      remoteHost: text(sa["remote-host"]),
      remotePort: Number(text(sa["remote-port"])),
      localId: text(sa["local-id"]),
      remoteId: text(sa["remote-id"]),
      suite: suite(cipher(sa), text(sa["integ-alg"]), text(sa["prf-alg"]), text(sa["dh-group"])),
      localVips: list(sa["local-vips"]),
      remoteVips: list(sa["remote-vips"]),
      remoteEapId: text(sa["remote-eap-id"]),
      nat: { local: sa["nat-local"] === "yes", remote: sa["nat-remote"] === "yes" },
      ppk: sa.ppk === "yes",
      establishedSeconds: Number(text(sa.established)),
      rekeySeconds: seconds(sa["rekey-time"]),
      reauthSeconds: seconds(sa["reauth-time"]),
      tasks: [...list(sa["tasks-active"]), ...list(sa["tasks-passive"]), ...list(sa["tasks-queued"])],
      children: Object.values(section(sa["child-sas"])).map((c) => child(section(c))),
    };
  });
}
