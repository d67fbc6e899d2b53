import { readFile } from "node:fs/promises";
import { Inject, Injectable, type OnModuleInit } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import type { Pkcs11KeyStore } from "@sallyport/pkcs11";
import type { KeyStore } from "@sallyport/pki";
import { CONFIG, type Config, type Pkcs11Config } from "../../platform/config/config.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { fault } from "./faults.js";

/** Whether a key of this reference is in a PKCS#11 token: references there are PKCS#11 URIs (RFC 7512). */
export const isHardwareKey = (ref: string) => ref.startsWith("pkcs11:");

/** The PKCS#11 token of this installation, when it has one. A token that is away makes nothing else wait or fail. */
@Injectable()
export class HardwareKeys implements OnModuleInit {
  #opening: Promise<Pkcs11KeyStore> | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Operators learn at the start that the token does not answer, and not with the first certificate. */
  async onModuleInit(): Promise<void> {
    if (this.config.pkcs11 === undefined) return;
    await this.#open(this.config.pkcs11).catch((err: unknown) => {
      this.log.error({ err }, "the PKCS#11 token cannot be used: its authorities issue nothing until it can");
    });
  }

  /** @throws certificates/no-token, and what opening the token throws */
  store(field?: string): Promise<KeyStore> {
    const { pkcs11 } = this.config;
    if (pkcs11 !== undefined) return this.#open(pkcs11);
    throw fault("certificates/no-token", "this installation has no PKCS#11 token", {
      ...(field === undefined ? {} : { field, value: "PKCS11" }),
      expected: "DATABASE, or the control plane started with SALLYPORT_PKCS11_MODULE, _TOKEN and _PIN_FILE",
    });
  }

  /** Takes a key out that nothing came to need. */
  async discard(ref: string): Promise<void> {
    try {
      await (await this.store()).destroy(ref);
    } catch (err) {
      this.log.warn({ err, ref }, "a key that nothing needs stays in the PKCS#11 token");
    }
  }

  async #open(config: Pkcs11Config): Promise<Pkcs11KeyStore> {
    this.#opening ??= open(config);
    try {
      return await this.#opening;
    } catch (error) {
      // Tokens lock themselves after a few wrong PINs: one is not tried again before the next start.
      if (!isFault(error, "pkcs11/wrong-pin")) this.#opening = undefined;
      throw error;
    }
  }
}

async function open({ module, token, pinFile }: Pkcs11Config): Promise<Pkcs11KeyStore> {
  const pin = await readFile(pinFile, "utf8").catch((cause: unknown) => {
    throw fault("certificates/no-token", "the PIN of the PKCS#11 token cannot be read", {
      field: "SALLYPORT_PKCS11_PIN_FILE",
      value: pinFile,
      expected: "a readable file with the user's PIN and nothing else",
      cause,
    });
  });
  // Loaded when it is needed: few installations have a token.
  const { Pkcs11KeyStore } = await import("@sallyport/pkcs11");
  return Pkcs11KeyStore.open({ module, token, pin: pin.replace(/\r?\n$/, "") });
}
