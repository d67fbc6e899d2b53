/** Methods of EAP that we speak, in both roles. */
export type EapMethod = "md5" | "gtc" | "mschapv2" | "tls";

export interface EapMethodInfo {
  /** RFC 3748 §5; IANA "Extensible Authentication Protocol Registry", Method Types. */
  readonly type: number;
  /** Ends with an MSK, which then keys both AUTH payloads (RFC 7296 §2.16); else those are keyed by SK_pi and SK_pr. */
  readonly derivesKey: boolean;
  /** The server proves itself to the peer as well. */
  readonly mutual: boolean;
  /**
   * May stand alone, without a certificate of the server (RFC 5998 §4): mutual, keyed, and no eavesdropper or false server can
   * try passwords against it.
   */
  readonly safeAlone: boolean;
}

export const EAP_METHODS: Readonly<Record<EapMethod, EapMethodInfo>> = {
  md5: { type: 4, derivesKey: false, mutual: false, safeAlone: false }, // RFC 3748 §5.4
  gtc: { type: 6, derivesKey: false, mutual: false, safeAlone: false }, // RFC 3748 §5.6
  tls: { type: 13, derivesKey: true, mutual: true, safeAlone: true }, // RFC 5216, RFC 9190
  mschapv2: { type: 26, derivesKey: true, mutual: true, safeAlone: false }, // draft-kamath-pppext-eap-mschapv2
};

/** Types that are no methods, RFC 3748 §5. */
export const EAP_TYPE = { IDENTITY: 1, NOTIFICATION: 2, NAK: 3, EXPANDED: 254 } as const;

const BY_TYPE = new Map((Object.keys(EAP_METHODS) as EapMethod[]).map((name) => [EAP_METHODS[name].type, name]));

export function methodOf(type: number): EapMethod | undefined {
  return BY_TYPE.get(type);
}

/** `EAP-TLS`, as people call it. */
export function methodText(method: EapMethod): string {
  return method === "mschapv2" ? "EAP-MSCHAPv2" : `EAP-${method.toUpperCase()}`;
}
