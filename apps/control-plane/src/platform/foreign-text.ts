export const MAX_FOREIGN_TEXT = 512;

/**
 * Text of agents and other strangers ends up in rows, logs and pages: bounded, with no character that acts on a terminal and no half
 * of one (JSON columns refuse it).
 */
export const foreignText = (value: string, max = MAX_FOREIGN_TEXT): string =>
  value.slice(0, max).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
