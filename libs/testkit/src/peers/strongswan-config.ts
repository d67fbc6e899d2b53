import type { ViciSection } from "./vici-codec.js";

/** One round of authentication of one end, as `local-N` and `remote-N` of swanctl.conf(5). */
export interface PeerAuthentication {
  /** E.g. `psk`, `pubkey`, `rsa-2048-sha256`, `ike:rsa/pss-sha384`, `eap`, `eap-mschapv2`. */
  readonly auth: string;
  /** Absent: the address (PSK), the certificate's subject, or, of the far end, anything. */
  readonly id?: string;
  /** PEM; the certificate to send (local) or to insist on (remote). */
  readonly certificate?: string;
  /** PEM; trust anchors that the far end's certificate must lead to. */
  readonly authorities?: readonly string[];
  readonly eapId?: string;
  readonly revocation?: "strict" | "ifuri" | "relaxed";
  /** Further keys of the section. */
  readonly extra?: ViciSection;
}

export interface PeerChild {
  readonly name: string;
  /** Default `dynamic`: the outer or the virtual address. E.g. `10.1.0.0/24`, `dynamic[tcp/80]`. */
  readonly localTs?: readonly string[];
  readonly remoteTs?: readonly string[];
  /** In strongSwan's notation, e.g. `aes256gcm16` or `aes256-sha256-ecp256` (with PFS). */
  readonly proposals: readonly string[];
  /** AH instead of ESP. */
  readonly ahProposals?: readonly string[];
  readonly mode?: "tunnel" | "transport" | "beet" | "pass" | "drop";
  readonly startAction?: "none" | "start" | "trap" | "trap|start";
  readonly dpdAction?: "clear" | "trap" | "restart";
  readonly closeAction?: "none" | "trap" | "start";
  /** Seconds; 0 or absent: never by itself. */
  readonly rekeySeconds?: number;
  readonly rekeyBytes?: number;
  readonly rekeyPackets?: number;
  readonly replayWindow?: number;
  /** Further keys of the section. */
  readonly extra?: ViciSection;
}

export interface PeerConnection {
  readonly name: string;
  readonly localAddress: string;
  /** `%any` takes whoever comes. */
  readonly remoteAddress: string;
  readonly proposals: readonly string[];
  /** Rounds in their order, or the one round. */
  readonly local: PeerAuthentication | readonly PeerAuthentication[];
  readonly remote: PeerAuthentication | readonly PeerAuthentication[];
  readonly children: readonly PeerChild[];
  readonly rekeySeconds?: number;
  /** Absent: never. */
  readonly reauthSeconds?: number;
  /** Seconds of silence before a liveness check; absent: no checks. */
  readonly dpdSeconds?: number;
  /** Virtual addresses to ask for: `0.0.0.0` and `::` are any. */
  readonly vips?: readonly string[];
  /** Names of pools to give virtual addresses from. */
  readonly pools?: readonly string[];
  readonly mobike?: boolean;
  readonly fragmentation?: "yes" | "accept" | "force" | "no";
  /** ESP in UDP without a NAT too. */
  readonly encap?: boolean;
  /** What a second IKE SA of the same identity does. Default `no`: nothing. */
  readonly unique?: "no" | "never" | "keep" | "replace";
  readonly sendCertificate?: "always" | "never" | "ifasked";
  readonly sendCertificateRequest?: boolean;
  /** RFC 8784. */
  readonly ppk?: { readonly id: string; readonly required: boolean };
  readonly keyingTries?: number;
  /** 1 for IKEv1. */
  readonly version?: 1 | 2;
  /** Further keys of the section. */
  readonly extra?: ViciSection;
}

export interface PeerSecret {
  /** Default `IKE`: a pre-shared key. */
  readonly type?: "IKE" | "EAP" | "XAUTH" | "PPK" | "NTLM";
  /** Identities that it belongs to. */
  readonly owners: readonly string[];
  readonly secret: string | Uint8Array;
}

/** Virtual addresses and what goes out with them. */
export interface PeerPool {
  readonly name: string;
  /** A prefix or a range, e.g. `10.3.0.0/24` or `10.3.0.5-10.3.0.9`. */
  readonly addresses: string;
  readonly dns?: readonly string[];
  /** Split networks (INTERNAL_IP4_SUBNET). */
  readonly subnets?: readonly string[];
  /** Further attributes by swanctl's names or by number. */
  readonly extra?: ViciSection;
}

/** Where a trust anchor's certificates are looked up for revocation. */
export interface PeerRevocation {
  readonly name: string;
  /** PEM of the anchor. */
  readonly authority: string;
  readonly crlUris?: readonly string[];
  readonly ocspUris?: readonly string[];
}

export interface PeerCredentials {
  readonly secrets?: readonly PeerSecret[];
  /** PEM of trust anchors. */
  readonly authorities?: readonly string[];
  /** PEM of other certificates, such as intermediates. */
  readonly certificates?: readonly string[];
  /** PEM or DER. */
  readonly crls?: readonly (string | Uint8Array)[];
  readonly revocation?: readonly PeerRevocation[];
  /** PEM (PKCS#8) of private keys; charon finds the certificate's by its public key. */
  readonly privateKeys?: readonly string[];
}

export interface StrongswanOptions extends PeerCredentials {
  readonly namespace: string;
  /** `kernel-libipsec`: userspace ESP over a TUN device, always in UDP. `kernel-netlink`: the kernel's own ESP. */
  readonly dataPlane: "kernel-libipsec" | "kernel-netlink";
  readonly connections?: readonly PeerConnection[];
  readonly pools?: readonly PeerPool[];
  /** Where its own folder is made; absent: among the system's temporary files. */
  readonly parent?: string;
  /** Further settings of charon, e.g. `{ cookie_threshold: "1" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Plugins besides the usual ones, e.g. `eap-mschapv2`. */
  readonly plugins?: readonly string[];
  /** Settings of plugins by plugin, e.g. `{ "eap-tls": { fragment_size: "512" } }`. */
  readonly pluginSettings?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Settings of its TLS (EAP-TLS), e.g. `{ version_max: "1.3" }`. */
  readonly tls?: Readonly<Record<string, string>>;
  /** Writes no log, which would cost a benchmark's peer some of its speed. */
  readonly silent?: boolean;
}

const PLUGINS = [
  ...["random", "nonce", "x509", "revocation", "constraints", "pubkey", "pkcs1", "pkcs8", "pem", "openssl"],
  ...[
    "curve25519",
    "aes",
    "sha1",
    "sha2",
    "hmac",
    "kdf",
    "gcm",
    "ctr",
    "ccm",
    "chapoly",
    "cmac",
    "xcbc",
    "gmp",
    "mgf1",
  ],
];
const CONTROL_PLUGINS = ["socket-default", "vici", "updown"];

const TEN_YEARS = "3650d";

/** strongswan.conf of a daemon whose files are in `directory`. */
export function daemonSettings(directory: string, options: StrongswanOptions): string {
  const kernel = options.dataPlane === "kernel-libipsec" ? ["kernel-libipsec", "kernel-netlink"] : ["kernel-netlink"];
  const lines = (settings: Readonly<Record<string, string>>, indent: string) =>
    Object.entries(settings)
      .map(([key, value]) => `${indent}${key} = ${value}`)
      .join("\n");
  const plugins: Record<string, Record<string, string>> = {
    vici: { socket: `unix://${directory}/vici` },
    "kernel-libipsec": { allow_peer_ts: "yes" },
  };
  for (const [name, settings] of Object.entries(options.pluginSettings ?? {})) {
    plugins[name] = { ...plugins[name], ...settings };
  }
  return `charon-systemd {
  load_modular = no
  load = ${[...PLUGINS, ...kernel, ...CONTROL_PLUGINS, ...(options.plugins ?? [])].join(" ")}
${lines({ install_virtual_ip: "no", retry_initiate_interval: "0", ...options.settings }, "  ")}
  tls {
${lines(options.tls ?? {}, "    ")}
  }
  journal { default = -1 }
  filelog {
    log { path = ${directory}/log
      flush_line = yes
      time_format = %H:%M:%S
      time_add_ms = yes
${options.silent ? "      default = -1" : lines({ default: "1", ike: "2", cfg: "2" }, "      ")}
    }
  }
  plugins {
${Object.entries(plugins)
  .map(([name, settings]) => `    ${name} {\n${lines(settings, "      ")}\n    }`)
  .join("\n")}
  }
}
`;
}

const yesNo = (value: boolean) => (value ? "yes" : "no");
/** The entries that are there. */
const present = (entries: Readonly<Record<string, ViciSection[string] | undefined>>): ViciSection =>
  Object.fromEntries(Object.entries(entries).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));

const round = (auth: PeerAuthentication): ViciSection => ({
  ...present({
    auth: auth.auth,
    id: auth.id,
    certs: auth.certificate === undefined ? undefined : [auth.certificate],
    cacerts: auth.authorities,
    eap_id: auth.eapId,
    revocation: auth.revocation,
  }),
  ...auth.extra,
});

const rounds = (side: "local" | "remote", auth: PeerConnection["local"]): ViciSection =>
  Object.fromEntries([auth].flat().map((one, index) => [`${side}-${index + 1}`, round(one)]));

const childSection = (child: PeerChild): ViciSection => ({
  ...present({
    local_ts: child.localTs,
    remote_ts: child.remoteTs,
    esp_proposals: child.ahProposals ? undefined : child.proposals,
    ah_proposals: child.ahProposals,
    mode: child.mode,
    start_action: child.startAction ?? "none",
    close_action: child.closeAction,
    dpd_action: child.dpdAction ?? "clear",
    rekey_time: child.rekeySeconds ? `${child.rekeySeconds}s` : TEN_YEARS,
    rekey_bytes: child.rekeyBytes?.toString(),
    rekey_packets: child.rekeyPackets?.toString(),
    replay_window: child.replayWindow?.toString(),
  }),
  ...child.extra,
});

/** A connection as the command `load-conn` takes it. */
export const connectionSection = (connection: PeerConnection): ViciSection => ({
  ...present({
    version: String(connection.version ?? 2),
    local_addrs: [connection.localAddress],
    remote_addrs: [connection.remoteAddress],
    proposals: connection.proposals,
    mobike: yesNo(connection.mobike ?? false),
    unique: connection.unique ?? "no",
    rekey_time: connection.rekeySeconds ? `${connection.rekeySeconds}s` : TEN_YEARS,
    reauth_time: connection.reauthSeconds === undefined ? undefined : `${connection.reauthSeconds}s`,
    dpd_delay: connection.dpdSeconds ? `${connection.dpdSeconds}s` : "0s",
    vips: connection.vips,
    pools: connection.pools,
    fragmentation: connection.fragmentation,
    encap: connection.encap === undefined ? undefined : yesNo(connection.encap),
    send_cert: connection.sendCertificate,
    send_certreq:
      connection.sendCertificateRequest === undefined ? undefined : yesNo(connection.sendCertificateRequest),
    ppk_id: connection.ppk?.id,
    ppk_required: connection.ppk && yesNo(connection.ppk.required),
    keyingtries: connection.keyingTries?.toString(),
  }),
  ...rounds("local", connection.local),
  ...rounds("remote", connection.remote),
  children: Object.fromEntries(connection.children.map((child) => [child.name, childSection(child)])),
  ...connection.extra,
});

/** A pool as the command `load-pool` takes it. */
export const poolSection = (pool: PeerPool): ViciSection => ({
  addrs: pool.addresses,
  ...present({ dns: pool.dns, subnet: pool.subnets }),
  ...pool.extra,
});

/** A trust anchor's places of revocation as the command `load-authority` takes them. */
export const revocationSection = (revocation: PeerRevocation): ViciSection => ({
  cacert: revocation.authority,
  ...present({ crl_uris: revocation.crlUris, ocsp_uris: revocation.ocspUris }),
});
