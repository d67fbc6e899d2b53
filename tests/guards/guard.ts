/** One thing that stands between a hostile input and harm, and the test that fails when it is taken away. */
export interface Guard {
  /** What is refused or bounded, in words. */
  readonly against: string;
  readonly file: string;
  /** Stands so often, once unless told, in `file`; with `without` in its place the guard is gone. */
  readonly text: string;
  readonly times?: number;
  readonly without: string;
  /** A file of unit tests and the title of one of them as it stands there. */
  readonly test: readonly [file: string, title: string];
}

/** A kind of input that daemons of this sort have fallen to. */
export interface HostileClass {
  readonly number: number;
  readonly about: string;
  /** CVE numbers, without the prefix. */
  readonly cves: readonly string[];
  readonly guards: readonly Guard[];
  /** What the guards leave out, and why: not built, or guarded by something that no unit test can take away. */
  readonly note?: string;
}

export const SIM = "libs/testkit/src/sim";
export const WIRE = "libs/ike/src/wire";
export const V2 = "libs/ike/src/v2";
export const CRYPTO = "libs/ike/src/crypto";
export const EAP = "libs/ike/src/eap";
export const PKI = "libs/pki/src";
export const AGENT = "apps/agent/src/daemon";
