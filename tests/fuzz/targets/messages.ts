import { deepStrictEqual } from "node:assert";
import { checkPlacement, decodeMessage, encodeMessage } from "@sallyport/ike";
import { total } from "./input.ts";

/** Any datagram is a message or a `Fault`, and what was decoded in the clear says the same when it is encoded again. */
export function fuzz(data: Uint8Array): void {
  const message = total(() => decodeMessage(Uint8Array.from(data)));
  if (!message) return;
  const { header, payloads } = message;
  total(() => checkPlacement({ header, clear: payloads, inner: message.encrypted ? [] : undefined }));
  if (message.encrypted) return;
  const again = decodeMessage(encodeMessage(header, payloads));
  deepStrictEqual(again.header, header);
  deepStrictEqual(again.payloads, payloads);
}
