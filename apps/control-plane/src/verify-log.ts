import { createInterface } from "node:readline";
import { isFault } from "@sallyport/base";
import { type LogEntry, type LogHead, LogVerifier } from "@sallyport/pki";

/**
 * Checks an exported issuance log and needs neither database nor network: `node dist/verify-log.js [SEQUENCE:HASH …] < FILE`. Each argument is a
 * head that was kept earlier. Prints one line of JSON; exits with 0 when every entry is what it was, with 1 when one is not.
 */
function headOf(argument: string): LogHead {
  const [, sequence, hash] = /^([1-9]\d*):([0-9a-f]{64})$/.exec(argument) ?? [];
  if (sequence !== undefined && hash !== undefined) return { sequence, hash };
  console.error("usage: verify-log [SEQUENCE:HASH …] < FILE");
  process.exit(2);
}

const verifier = new LogVerifier(process.argv.slice(2).map(headOf));
try {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== "") verifier.add(JSON.parse(line) as LogEntry);
  }
  console.log(JSON.stringify({ ok: true, head: verifier.end() }));
} catch (error) {
  const { message } = error as Error;
  const { field, value, expected } = isFault(error) ? error : {};
  console.log(JSON.stringify({ ok: false, message, field, value, expected, head: verifier.head }));
  process.exitCode = 1;
}
