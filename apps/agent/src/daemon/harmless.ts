/** What moves a cursor, hides, reverses or ends a line, wherever a terminal or a viewer shows it; blanks, ends of lines and tabs stay. */
const HARMFUL = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;

function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
    .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
    .join("");
}

/**
 * Text for a terminal or a log: all output passes here last, whoever its parts come from (hostile input 26). Escapes are those of
 * JSON, so JSON stays what it is.
 */
export function harmless(text: string): string {
  return text.replace(HARMFUL, escaped);
}
