import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import qrcode from "qrcode-generator";

const ID_BYTES = 16;
const SECRET_BYTES = 32;
/** Where links lead to. */
export const LINK_PATH = "h";

export const hashOf = (secret: Uint8Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(createHash("sha256").update(secret).digest());

/** What a link's last part says: which hand-over, and a secret that only its hash is kept of. */
export interface LinkToken {
  readonly id: string;
  readonly secret: Uint8Array;
}

export const newSecret = (): Uint8Array => randomBytes(SECRET_BYTES);

/** 64 characters of base64url. */
export function encodeLink({ id, secret }: LinkToken): string {
  return Buffer.concat([Buffer.from(id.replaceAll("-", ""), "hex"), secret]).toString("base64url");
}

/** Undefined for what is no link's. */
export function decodeLink(text: string): LinkToken | undefined {
  if (!/^[\w-]{64}$/.test(text)) return undefined;
  const octets = Buffer.from(text, "base64url");
  const id = octets.toString("hex", 0, ID_BYTES).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return { id, secret: octets.subarray(ID_BYTES) };
}

/** In the same time whatever differs; without a hash too. */
export function isSecretOf(secret: Uint8Array, hash: Uint8Array | undefined): boolean {
  const wanted = hash ?? new Uint8Array(32);
  return timingSafeEqual(hashOf(secret), wanted) && hash !== undefined;
}

/** A QR code as SVG that scales with its place, with the quiet zone of four modules. */
export function qrCode(text: string): string {
  const code = qrcode(0, "M");
  code.addData(text, "Byte");
  code.make();
  return code.createSvgTag({ cellSize: 1, margin: 4, scalable: true });
}
