import type { Buffer } from "node:buffer";

/**
 * Shares of the room for what waits that are in use: from the first on some first messages are let fall, from the second on all that
 * did not fall before, from the third on those too.
 */
const FILL = { some: 1 / 16, all: 1 / 4, again: 3 / 4 } as const;
/** How full it is, is asked for once in so many datagrams, and after so long where some are let fall: they are few when a flood has ended. */
const EVERY = 32;
const FRESH_MS = 10;
/** How many that were let fall are remembered; at 20,000 a second, those of some ten seconds. */
const REMEMBERED = 2 ** 18;

/** RFC 7296 §3.1, §3.2. */
const OFFSET = { responderSpi: 8, nextPayload: 16, exchange: 18 } as const;
const HEADER_OCTETS = 28;
const IKE_SA_INIT = 34;
const NOTIFY = 41;

/** The first message of a stranger: one with a cookie, which stands first (RFC 7296 §2.6), is not. */
function isFirst(slab: Buffer, at: number, length: number): boolean {
  if (length < HEADER_OCTETS || slab[at + OFFSET.exchange] !== IKE_SA_INIT) return false;
  if (slab[at + OFFSET.nextPayload] === NOTIFY) return false;
  return slab.readUInt32LE(at + OFFSET.responderSpi) === 0 && slab.readUInt32LE(at + OFFSET.responderSpi + 4) === 0;
}

/**
 * Keeps what waits short, at the socket and behind it. A flood that is faster than this machine works it off would fill the buffer, and everybody would wait
 * behind seconds of it. Instead, the more waits, the more first messages are let fall unanswered. Who means them sends them again, which
 * spoofed ones hardly are, and then they pass; all that belongs to a conversation passes too (hostile input 21).
 */
export class Thinning {
  #seen = 0;
  #full = 0;
  #askedAt = 0;
  #share = 0;
  /** What is owed: at one, the next is let fall. */
  #owed = 0;
  /** One half of the initiator's SPI of those that were let fall, at a place that the other half names. */
  #fallen: Uint32Array | undefined;

  /** `now` in milliseconds. */
  constructor(
    private readonly fill: () => number,
    private readonly now: () => number,
  ) {}

  /** Whether the datagram of `length` octets at `at` is to be read at all. */
  readonly lets = (slab: Buffer, at: number, length: number): boolean => {
    if (++this.#seen >= EVERY || (this.#share > 0 && this.now() - this.#askedAt >= FRESH_MS)) this.#ask();
    if (this.#share === 0 || !isFirst(slab, at, length)) return true;
    const place = slab.readUInt32LE(at) % REMEMBERED;
    const name = slab.readUInt32LE(at + 4);
    this.#fallen ??= new Uint32Array(REMEMBERED);
    const again = this.#fallen[place] === name && name !== 0;
    if (again && this.#full < FILL.again) {
      this.#fallen[place] = 0;
      return true;
    }
    this.#owed += this.#share;
    if (this.#owed < 1) return true;
    this.#owed--;
    this.#fallen[place] = name;
    return false;
  };

  #ask(): void {
    this.#seen = 0;
    this.#askedAt = this.now();
    this.#full = this.fill();
    this.#share = Math.min(1, Math.max(0, (this.#full - FILL.some) / (FILL.all - FILL.some)));
  }
}
