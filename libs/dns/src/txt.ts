import { Writer } from "@sallyport/base";
import { fault } from "./faults.js";
import { malformed } from "./name.js";

const MAX_STRING = 255;

/** RDATA of a TXT record with one string of at most 255 octets (RFC 1035 §3.3.14). */
export function textData(text: string): Uint8Array {
  const octets = Buffer.from(text, "utf8");
  if (octets.length > MAX_STRING) {
    const expected = `at most ${MAX_STRING}`;
    throw fault("dns/malformed", `text: ${octets.length} octets`, { field: "text", expected });
  }
  return new Writer(1 + octets.length).u8(octets.length).bytes(octets).done();
}

/** The strings of a TXT record's RDATA, one after the other. */
export function readText(data: Uint8Array): string {
  const strings: Uint8Array[] = [];
  for (let at = 0; at < data.length; ) {
    const end = at + 1 + (data[at] as number);
    if (end > data.length) throw malformed("text", "a string that reaches past the record");
    strings.push(data.subarray(at + 1, end));
    at = end;
  }
  return Buffer.concat(strings).toString("utf8");
}
