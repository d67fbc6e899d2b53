import { isFault } from "@sallyport/base";
import { CKF, CKR, CKU_USER, nameOf } from "./constants.js";
import type { Cryptoki } from "./cryptoki.js";
import { fault } from "./faults.js";
import { Arena, wordIn } from "./memory.js";

/** Sessions at a time; who comes later waits. */
const SESSIONS = 4;
const MAX_SLOTS = 64;
/** CK_TOKEN_INFO is 160 octets of text and numbers and ten CK_ULONGs at most; the label is its first 32. */
const TOKEN_INFO = 512;
const LABEL = 32;
/** Of flags in CK_TOKEN_INFO: after label, manufacturer (32 each), model and serial number (16 each). */
const FLAGS_AT = 96;

/** What is wrong with the session rather than with what was asked: it may go well in a new one. */
const GONE: ReadonlySet<string> = new Set(
  (
    [
      "SESSION_CLOSED",
      "SESSION_HANDLE_INVALID",
      "USER_NOT_LOGGED_IN",
      "DEVICE_REMOVED",
      "TOKEN_NOT_PRESENT",
      "DEVICE_ERROR",
    ] as const
  ).map((name) => nameOf(CKR[name])),
);

type Session = number | bigint;

/** A token by its label, logged in, with a few sessions. One that was taken out and put back is found again. */
export class Token {
  readonly #pin: string;
  readonly #free: Session[] = [];
  readonly #waiting: (() => void)[] = [];
  #open = 0;
  #refused = false;
  /** Sessions of another one are closed when they come back. */
  #generation = 0;
  #login: Promise<bigint | number> | undefined;

  constructor(
    private readonly cryptoki: Cryptoki,
    readonly label: string,
    pin: string,
  ) {
    this.#pin = pin;
  }

  /**
   * Runs `work` in a session of its own, once more when the session turned out to be gone.
   * @throws pkcs11/no-token, pkcs11/wrong-pin, pkcs11/failed, and what `work` throws
   */
  async run<T>(work: (session: Session, arena: Arena) => Promise<T>): Promise<T> {
    try {
      return await this.#once(work);
    } catch (error) {
      if (!isFault(error, "pkcs11/failed") || !GONE.has(String(error.value))) throw error;
      this.#forget();
      return this.#once(work);
    }
  }

  /** @throws pkcs11/no-token, pkcs11/wrong-pin, pkcs11/failed */
  async check(): Promise<void> {
    await this.run(async () => {});
  }

  async #once<T>(work: (session: Session, arena: Arena) => Promise<T>): Promise<T> {
    if (this.#open >= SESSIONS && this.#free.length === 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const generation = this.#generation;
    const arena = new Arena();
    let session = this.#free.pop();
    if (session === undefined) {
      this.#open++;
      try {
        session = await this.#session();
      } catch (error) {
        this.#open--;
        this.#waiting.shift()?.();
        arena.free();
        throw error;
      }
    }
    try {
      return await work(session, arena);
    } finally {
      arena.free();
      if (generation === this.#generation) this.#free.push(session);
      else this.#open--;
      this.#waiting.shift()?.();
    }
  }

  #forget(): void {
    this.#generation++;
    this.#open -= this.#free.length;
    this.#free.length = 0;
    this.#login = undefined;
  }

  async #session(): Promise<Session> {
    this.#login ??= this.#logIn();
    try {
      return await this.#openSession(await this.#login);
    } catch (error) {
      this.#login = undefined;
      throw error;
    }
  }

  async #openSession(slot: number | bigint): Promise<Session> {
    const arena = new Arena();
    try {
      const session = arena.words(0);
      const flags = CKF.RW_SESSION | CKF.SERIAL_SESSION;
      await this.cryptoki.call("C_OpenSession", slot, flags, null, null, session.address);
      return wordIn(session.octets, 0);
    } finally {
      arena.free();
    }
  }

  /** Finds the slot and logs in, which counts for every session with the token. */
  async #logIn(): Promise<number | bigint> {
    if (this.#refused) throw wrongPin(this.label, "it was refused before");
    const arena = new Arena();
    try {
      const slot = await this.#slot(arena);
      const session = await this.#openSession(slot);
      const pin = arena.put(new TextEncoder().encode(this.#pin));
      const value = await this.cryptoki.value("C_Login", session, CKU_USER, pin.address, pin.octets.length);
      if (value === CKR.OK || value === CKR.USER_ALREADY_LOGGED_IN) {
        // A token forgets the login with its last session, so this one stays open.
        this.#free.push(session);
        this.#open++;
        return slot;
      }
      await this.cryptoki.value("C_CloseSession", session);
      this.#refused = value === CKR.PIN_INCORRECT || value === CKR.PIN_LOCKED || value === CKR.PIN_EXPIRED;
      if (this.#refused) throw wrongPin(this.label, nameOf(value));
      throw fault("pkcs11/failed", `logging in: ${nameOf(value)}`, { value: nameOf(value) });
    } finally {
      arena.free();
    }
  }

  async #slot(arena: Arena): Promise<number | bigint> {
    const count = arena.words(MAX_SLOTS);
    const slots = arena.words(...new Array<number>(MAX_SLOTS).fill(0));
    // Only asking for their number makes a module look for tokens anew (PKCS #11 v2.40 §5.5).
    await this.cryptoki.call("C_GetSlotList", 1, null, arena.words(0).address);
    await this.cryptoki.call("C_GetSlotList", 1, slots.address, count.address);
    const info = arena.alloc(TOKEN_INFO);
    const labels: string[] = [];
    for (let i = 0; i < Number(wordIn(count.octets, 0)); i++) {
      const slot = wordIn(slots.octets, i);
      if ((await this.cryptoki.value("C_GetTokenInfo", slot, info.address)) !== CKR.OK) continue;
      const flags = Number(wordIn(info.octets.subarray(FLAGS_AT), 0));
      if ((flags & CKF.USER_PIN_INITIALIZED) === 0) continue;
      const label = new TextDecoder().decode(info.octets.slice(0, LABEL)).trimEnd();
      if (label === this.label) return slot;
      labels.push(label);
    }
    throw fault("pkcs11/no-token", `there is no token labelled ${this.label}`, {
      field: "token",
      value: this.label,
      expected:
        labels.length > 0 ? `one of: ${labels.join(", ")}` : "a token that has a user PIN; there is none at all",
    });
  }
}

function wrongPin(label: string, why: string) {
  return fault("pkcs11/wrong-pin", `token ${label} does not take the PIN: ${why}`, {
    field: "pin",
    value: "***",
    expected: "the user PIN; after a change the control plane is started again",
  });
}
