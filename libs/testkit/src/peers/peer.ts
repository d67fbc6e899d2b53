/** What every peer says of its SAs in the same words, so that a test can ask any of them. */
export interface ChildView {
  readonly name: string;
  readonly uniqueId: string;
  /** `INSTALLED` when it carries traffic. */
  readonly state: string;
  /** The peer's own view: `spiIn` is the one that the other end sends with. */
  readonly spiIn: number;
  readonly spiOut: number;
  /** Algorithms in the peer's own notation. */
  readonly suite: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
}

export interface IkeView {
  /** Of its connection. */
  readonly name: string;
  readonly uniqueId: string;
  /** `ESTABLISHED` when it is in use. */
  readonly state: string;
  /** Whether the peer started it. */
  readonly initiator: boolean;
  /** 16 hexadecimal digits; absent where the peer does not say. */
  readonly initiatorSpi?: string;
  readonly responderSpi?: string;
  readonly remoteId: string;
  readonly suite: string;
  readonly children: readonly ChildView[];
}

/** Another people's IKE daemon. */
export interface Peer<Sa extends IkeView = IkeView> {
  /** Resolves when the child SA is installed; rejects with the peer's reason when it is not within `timeoutMs`. */
  initiate(child: string, timeoutMs?: number): Promise<void>;
  rekeyChild(child: string): Promise<void>;
  rekeyIke(ike: string): Promise<void>;
  /** Ends an IKE SA with its children. */
  terminate(what: { ike: string }): Promise<void>;
  /** Of one connection or of all. */
  listSas(connection?: string): Promise<readonly Sa[]>;
  /** What it has logged since `markLogs`, or since it began. */
  log(): Promise<string>;
  /** All that it has logged. */
  wholeLog(): Promise<string>;
  stop(): Promise<void>;
}
