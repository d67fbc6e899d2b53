import { createHash } from "node:crypto";

/** When a certificate is valid. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** When a directory wants a certificate renewed (RFC 9773 §4.2). */
export interface SuggestedWindow {
  readonly start: Date;
  readonly end: Date;
}

/** Share of its life after which a certificate is renewed at the latest, and by how much of its life chance makes that earlier. */
const RENEW_AT = 2 / 3;
const HOUR_MS = 3_600_000;
const JITTER = 1 / 20;
/** Shares of its life that are left when operators are told that it was not renewed. */
const ALERTS = [1 / 4, 1 / 10, 0] as const;

const lifeOf = ({ notBefore, notAfter }: Validity) => notAfter.getTime() - notBefore.getTime();

/** By chance, but the same for the same certificate: 0 up to 1. */
const chanceOf = (fingerprint: string) =>
  createHash("sha256").update(`renewal of ${fingerprint}`).digest().readUInt32BE() / 2 ** 32;

/** At two thirds of its life, a little earlier by chance: certificates that were made together are not renewed together. */
export function renewalTime(certificate: Validity & { readonly fingerprint: string }): Date {
  const share = RENEW_AT - JITTER * chanceOf(certificate.fingerprint);
  return new Date(certificate.notBefore.getTime() + lifeOf(certificate) * share);
}

/** A moment of the window, by chance (RFC 9773 §4.2), but while a tenth of the certificate's life is left. */
export function suggestedTime(
  certificate: Validity & { readonly fingerprint: string },
  { start, end }: SuggestedWindow,
): Date {
  const at = start.getTime() + Math.max(end.getTime() - start.getTime(), 0) * chanceOf(certificate.fingerprint);
  return new Date(Math.min(at, certificate.notAfter.getTime() - lifeOf(certificate) * ALERTS[1]));
}

/** When operators are told next, after `now`; undefined: never more. */
export function alertTime(certificate: Validity, now: Date): Date | undefined {
  const times = ALERTS.map((left) => new Date(certificate.notAfter.getTime() - lifeOf(certificate) * left));
  return times.find((at) => at > now);
}

/** When a certificate stops being shown at the latest, whoever does not know the next one yet: while a tenth of its life is left. */
export function latestShowTime(shown: Validity): Date {
  return new Date(shown.notAfter.getTime() - lifeOf(shown) * ALERTS[1]);
}

/** Until when a new key is announced; undefined: there is no time for that. */
export function showTime(shown: Validity, announceHours: number, now: Date): Date | undefined {
  const at = Math.min(now.getTime() + announceHours * HOUR_MS, latestShowTime(shown).getTime());
  return at > now.getTime() ? new Date(at) : undefined;
}

/** From when on so little of its life is left that nothing else counts. */
export function pressingTime(certificate: Validity): Date {
  return new Date(certificate.notAfter.getTime() - lifeOf(certificate) * ALERTS[0]);
}

/** How urgent it is. */
export function alertSeverity(certificate: Validity, now: Date): "WARNING" | "ERROR" {
  const left = (certificate.notAfter.getTime() - now.getTime()) / lifeOf(certificate);
  return left > ALERTS[1] ? "WARNING" : "ERROR";
}
