/** Markup that is ready to be sent. */
export class Html {
  constructor(readonly text: string) {}
}

type Piece = string | number | Html | readonly Html[] | undefined;

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function markup(piece: Piece): string {
  if (piece === undefined) return "";
  if (piece instanceof Html) return piece.text;
  if (typeof piece === "object") return piece.map((p) => p.text).join("");
  return String(piece).replace(/[&<>"']/g, (c) => ESCAPES[c] as string);
}

/** A template whose values are text, in elements and in quoted attributes; markup comes from such templates alone. */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(parts.map((part, i) => part + markup(pieces[i])).join(""));
}
