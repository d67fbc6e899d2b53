import { randomBytes, randomUUIDv7 } from "node:crypto";
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

/** Ids of keys. */
export interface TunnelKeys {
  readonly usedId: string;
  readonly besideId: string | undefined;
}

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

  /** 256 random bits for a tunnel between our own gateways: the key that it uses, or one that is accepted beside that. */
  createTunnelKey(
    tx: Tx,
    organizationId: string,
    place: { readonly id: string } & ({ readonly tunnelKey: string } | { readonly besideId: string }),
  ): Promise<SecretRow> {
    const { id } = place;
    return this.store.create(tx, {
      ...place,
      organizationId,
      kind: "PRE_SHARED_KEY",
      name: `key of a tunnel, ${id}`,
      ...this.vault.seal(secretPlace(id), `0x${randomBytes(32).toString("hex")}`),
    });
  }

  /** The key that a tunnel of a network uses, and the one that is accepted beside it. */
  async keysOfTunnel(tx: Tx, organizationId: string, tunnelKey: string): Promise<TunnelKeys | undefined> {
    const used = await this.store.ofTunnel(tx, organizationId, tunnelKey);
    if (!used) return undefined;
    return { usedId: used.id, besideId: (await this.store.beside(tx, organizationId, used.id))?.id };
  }

  /** From now on the tunnel uses the key that was accepted beside its own, and takes its own besides. */
  async switchTunnelKey(tx: Tx, organizationId: string, { besideId }: TunnelKeys): Promise<void> {
    const next = besideId === undefined ? null : await this.store.byId(tx, organizationId, besideId);
    if (next) await this.store.swap(tx, next);
  }

  /** The tunnel takes no other key than the one it uses. Gives whether there was one. */
  async retireBeside(tx: Tx, organizationId: string, { usedId }: TunnelKeys): Promise<boolean> {
    return (await this.store.dropBeside(tx, organizationId, usedId)) > 0;
  }

  /** In the clear, wrapped so that it does not print. */
  open(row: SecretRow): Secret {
    return new Secret(this.vault.unseal(secretPlace(row.id), row).toString("utf8"));
  }
}
