import { randomUUIDv7 } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { Secret } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import type { Secret as SecretRow } from "../../platform/prisma/generated/client.js";
import { Vault } from "../../platform/vault/vault.js";
import { SecretStore } from "./secret.store.js";

const MIN_CHARS = 8;
const MAX_CHARS = 1_024;

/** Names what a secret is sealed for. */
export const secretPlace = (id: string) => `secret/${id}`;

/** Pre-shared keys, sealed. What goes in comes out again only inside an intent. */
@Injectable()
export class SecretService {
  constructor(
    private readonly vault: Vault,
    private readonly store: SecretStore,
  ) {}

  /** Seals a pre-shared key of 8 to 1,024 printable characters (text, or octets as hex after `0x`). `field` is the caller's. */
  async createPreSharedKey(
    tx: Tx,
    organizationId: string,
    name: string,
    value: string,
    field: string,
  ): Promise<SecretRow> {
    if (value.length < MIN_CHARS || value.length > MAX_CHARS || /\p{Cc}/u.test(value)) {
      throw apiFault("api/bad-input", `${field}: a pre-shared key of ${value.length} characters`, {
        field,
        value: "***",
        expected: `${MIN_CHARS} to ${MAX_CHARS} printable characters, better 32 random ones`,
      });
    }
    const id = randomUUIDv7();
    return this.store.create(tx, {
      id,
      organizationId,
      kind: "PRE_SHARED_KEY",
      name,
      ...this.vault.seal(secretPlace(id), value),
    });
  }

  /** In the clear, wrapped so that it does not print. */
  open(row: SecretRow): Secret {
    return new Secret(this.vault.unseal(secretPlace(row.id), row).toString("utf8"));
  }
}
