import type { Rng } from "./time.js";

/** Letters and digits that nobody confuses when typing them off a screen. */
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
/** The highest multiple of the alphabet's size: octets above would make its first letters likelier. */
const FAIR = 256 - (256 % ALPHABET.length);
const LETTERS = 20;

/** Four groups of five: 99 bits. */
export function newPassphrase(rng: Rng): string {
  let letters = "";
  while (letters.length < LETTERS) {
    for (const octet of rng.bytes(LETTERS)) {
      if (octet < FAIR && letters.length < LETTERS) letters += ALPHABET[octet % ALPHABET.length];
    }
  }
  return (letters.match(/.{5}/g) as string[]).join("-");
}
