import { harmless } from "./harmless.js";
import { createLogger, LogBuffer } from "./log.js";

const HOSTILE = "\u001b[2J\u009b31m \u202egpj.exe\u2028new line\u2066\u{e0041}\u0000\r";

it("lets nothing through that a terminal would act on (hostile input 26)", () => {
  const shown = harmless(`a\tb\nc ${HOSTILE}ü€😀`);
  expect(shown).toMatch(/^a\tb\nc [\x20-\x7e]*ü€😀$/u);
  expect(shown).toContain("\\u001b[2J\\u009b31m");
});

it("leaves JSON what it is", () => {
  const value = { name: HOSTILE, other: 'quotes " and \\ backslashes' };
  const text = harmless(JSON.stringify(value, null, 2));
  expect(JSON.parse(text)).toEqual(value);
  expect(text).toMatch(/^[\n\x20-\x7e]*$/);
});

it("stands before the log, whatever is logged", () => {
  const written: string[] = [];
  const write = process.stdout.write;
  process.stdout.write = ((chunk: string, done?: () => void) => {
    written.push(chunk);
    done?.();
    return true;
  }) as typeof write;
  const buffer = new LogBuffer();
  try {
    createLogger(buffer, "info").info({ peer: HOSTILE }, `a peer says ${HOSTILE}`);
  } finally {
    process.stdout.write = write;
  }
  expect(buffer.tail(1)[0]).toMatch(/^[\x20-\x7e]+$/);
  expect(written.join("")).toMatch(/^[\x20-\x7e]+\n$/);
  expect(JSON.parse(written.join(""))).toMatchObject({ peer: HOSTILE, msg: `a peer says ${HOSTILE}` });
});
