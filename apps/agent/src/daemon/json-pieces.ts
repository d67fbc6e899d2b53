/** Octets, about, that are put together between two interruptions. */
const PIECE = 32 * 1024;
/** Deeper values are small: one IKE SA of a tunnel of a status. */
const DEPTH = 5;

/** A text of many lines, made one by one as it is told. */
export class Lines {
  constructor(readonly lines: Iterable<string>) {}
}

/** `JSON.stringify(value)` in pieces: of data whose lists may be long, with an interruption after each piece. */
export function* jsonPieces(value: object): Generator<string, void> {
  let piece = "";
  for (const part of parts(value, 0)) {
    piece += part;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

function* parts(value: unknown, depth: number): Generator<string, void> {
  if (depth < DEPTH && Array.isArray(value)) {
    yield "[";
    for (const [i, item] of value.entries()) {
      if (i > 0) yield ",";
      yield* parts(item ?? null, depth + 1);
    }
    yield "]";
  } else if (depth < DEPTH && isPlain(value)) {
    let separator = "{";
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue;
      yield `${separator}${JSON.stringify(key)}:`;
      yield* parts(item, depth + 1);
      separator = ",";
    }
    yield separator === "{" ? "{}" : "}";
  } else if (value instanceof Lines) {
    let before = '"';
    for (const line of value.lines) {
      yield `${before}${JSON.stringify(line).slice(1, -1)}`;
      before = "\\n";
    }
    yield before === '"' ? '""' : '"';
  } else yield JSON.stringify(value);
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
