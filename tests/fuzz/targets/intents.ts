import { parseIntent, serializeIntent } from "@sallyport/intent";
import { holds, total } from "./input.ts";

const utf8 = new TextDecoder();

/** What claims to be an intent: refused with a `Fault`, or the same when it is written and read again. */
export function fuzz(data: Uint8Array): void {
  const intent = total(() => parseIntent(utf8.decode(data)));
  if (!intent) return;
  const text = serializeIntent(intent);
  holds(serializeIntent(parseIntent(text)) === text, () => "an intent changes when it is written and read again");
}
