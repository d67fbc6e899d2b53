import { createHash, randomBytes } from "node:crypto";

const MARK = "sp_";
const PREFIX_CHARS = 8;

export interface NewToken {
  /** Shown once. */
  readonly text: string;
  readonly prefix: string;
  readonly hash: Uint8Array<ArrayBuffer>;
}

/** 256 random bits need no slow hash: there is nothing to guess. */
export function tokenHash(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(text).digest());
}

export function newToken(): NewToken {
  const text = MARK + randomBytes(32).toString("base64url");
  return { text, prefix: text.slice(0, MARK.length + PREFIX_CHARS), hash: tokenHash(text) };
}

export function isToken(text: string): boolean {
  return /^sp_[\w-]{43}$/.test(text);
}
