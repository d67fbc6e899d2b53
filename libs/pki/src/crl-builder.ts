import { type Authority, issuerOf } from "./authority.js";
import { algorithmDer, signedDer } from "./builder.js";
import { REASONS, type RevocationReason } from "./crl.js";
import {
  constructedTag,
  type Der,
  encode,
  enumeratedDer,
  integerDer,
  numberDer,
  sequenceOf,
  timeDer,
} from "./der-writer.js";
import { authorityKeyIdentifier, crlNumber, deltaCrlIndicator, extensionDer, freshestCrl } from "./extensions.js";
import type { KeyStore } from "./keystore.js";

/** A certificate in a list. In a delta, `removeFromCRL` takes one back that was on hold. */
export interface ListEntry {
  /** As `Certificate.serial` writes it. */
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly reason: RevocationReason;
}

export interface ListTemplate {
  readonly number: bigint;
  /** Of a delta: the number of the complete list that it adds to. */
  readonly base?: bigint | undefined;
  /** Of a complete list: where its delta is. */
  readonly deltaUri?: string | undefined;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly entries: readonly ListEntry[];
}

const VERSION_2 = numberDer(1);

function entryDer({ serial, at, reason }: ListEntry): Der {
  const number = integerDer(Buffer.from(serial, "hex"));
  // RFC 5280 §5.3.1: an unspecified reason is left out.
  if (reason === "unspecified") return sequenceOf(number, timeDer(at));
  const code = extensionDer("2.5.29.21", enumeratedDer(REASONS.indexOf(reason)));
  return sequenceOf(number, timeDer(at), sequenceOf(code));
}

/** Builds and signs a list of revoked certificates, complete or delta (RFC 5280 §5). */
export async function buildCrl(store: KeyStore, by: Authority, list: ListTemplate): Promise<Uint8Array> {
  const { key, name, keyId } = issuerOf(by);
  const extensions = [authorityKeyIdentifier(keyId), crlNumber(list.number)];
  if (list.base !== undefined) extensions.push(deltaCrlIndicator(list.base));
  if (list.deltaUri !== undefined) extensions.push(freshestCrl(list.deltaUri));
  const tbs = encode(
    sequenceOf(
      VERSION_2,
      algorithmDer(key.kind),
      name,
      timeDer(list.thisUpdate),
      timeDer(list.nextUpdate),
      ...(list.entries.length === 0 ? [] : [sequenceOf(...list.entries.map(entryDer))]),
      constructedTag(0, sequenceOf(...extensions)),
    ),
  );
  return signedDer(key.kind, tbs, await store.sign(key, tbs));
}
