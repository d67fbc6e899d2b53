import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { parse } from "plist";
import { keyfile, powershell, routeros, shell, strongswan, xmlText } from "./escape.js";
import { plist } from "./plist.js";

/** Text with much of what languages take for their own. */
const nasty = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc
    .array(
      fc.constantFrom(
        ..."'\"`$\\{}[]()<>&;#%!|*?~^=, \n\r\tq\u2018\u2019\u201a\u201b\u201c\u2028äé😀".split(/(?=[\s\S])/u),
        "'@",
        "@'",
        "]]>",
        "$(id)",
        "EOF",
        "\n}\n",
        "<!--",
      ),
    )
    .map((parts) => parts.join("")),
);
/** What XML 1.0 can hold; descriptions hold no control characters at all. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is kept out
const inXml = nasty.filter((t) => t.isWellFormed() && !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(t));

it("XML: ends of lines of other kinds stay what they are", () => {
  const text = "a\u0085b\u2028c\u2029d\re\r\nf\ng";
  expect(parse(plist({ text }))).toEqual({ text });
});

it("XML: a parser of property lists reads the same text, and nothing beside it", () => {
  fc.assert(
    fc.property(inXml, inXml, (a, b) => {
      expect(parse(plist({ a, list: [b, a], end: 1 }))).toEqual({ a, list: [b, a], end: 1 });
      expect(xmlText(a)).not.toMatch(/[<>"']/);
    }),
  );
});

it("PowerShell: printable ASCII between two quotation marks that are its only single ones, in whatever code page it is read", () => {
  const wellFormed = nasty.filter((t) => t.isWellFormed());
  fc.assert(
    fc.property(wellFormed, (text) => {
      const literal = powershell(text);
      expect(literal).toMatch(/^[ -~]*$/);
      const plain = /^'((?:[^']|'')*)'$/.exec(literal)?.[1];
      const decoded =
        /^\(\[Text\.Encoding\]::UTF8\.GetString\(\[Convert\]::FromBase64String\('([A-Za-z0-9+/=]*)'\)\)\)$/;
      const read =
        plain?.replaceAll("''", "'") ?? Buffer.from(decoded.exec(literal)?.[1] ?? "", "base64").toString("utf8");
      expect(read).toBe(text);
    }),
  );
});

it("shell: sh hands the same text on as one word", () => {
  const words = fc.array(
    nasty.filter((t) => t.isWellFormed() && !t.includes("\0")),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(words, (texts) => {
      const out = execFileSync("sh", ["-c", `printf '%s\\0' ${texts.map(shell).join(" ")}`]);
      expect(out.toString("utf8").split("\0").slice(0, -1)).toEqual(texts);
    }),
    { numRuns: 20 },
  );
});

it("strongSwan: one quoted string, which ends where it ends", () => {
  const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
  fc.assert(
    fc.property(nasty, (text) => {
      const body = /^"((?:[^"\\\n]|\\[^\n])*)"$/.exec(strongswan(text))?.[1];
      expect(body?.replace(/\\([\s\S])/g, (_, c: string) => escapes[c] ?? c)).toBe(text);
    }),
  );
});

it("RouterOS: one quoted string of plain letters and octets", () => {
  fc.assert(
    fc.property(
      nasty.filter((t) => t.isWellFormed()),
      (text) => {
        const body = /^"((?:[A-Za-z0-9 .,:@/_-]|\\[0-9A-F]{2})*)"$/.exec(routeros(text))?.[1] ?? "?";
        const octets = [...body.matchAll(/\\(..)|(.)/g)].map(([, hex, c]) =>
          hex === undefined ? (c as string).charCodeAt(0) : Number.parseInt(hex, 16),
        );
        expect(Buffer.from(octets).toString("utf8")).toBe(text);
      },
    ),
  );
});

it("key file: one line, read back the same", () => {
  const escapes: Readonly<Record<string, string>> = { s: " ", n: "\n", r: "\r", t: "\t", "\\": "\\" };
  fc.assert(
    fc.property(nasty, (text) => {
      const value = keyfile(text);
      expect(value).not.toMatch(/[\n\r]/);
      expect(value.replace(/\\(.)/g, (_, c: string) => escapes[c] ?? "?")).toBe(text);
    }),
  );
});
