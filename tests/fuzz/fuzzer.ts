import { execFile } from "node:child_process";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { WORK } from "./build.ts";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
/** Versions of the C and C++ libraries that the prebuilt fuzzer asks for and Debian 12 does not have yet. */
const TOO_NEW = /^(GLIBC_2\.3[78]|GLIBCXX_3\.4\.3[12])$/;
/** The three functions that it needs of them: the first two differ from the old ones in binary literals, which it does not read. */
const COMPATIBILITY = `#include <stdlib.h>
long __isoc23_strtol(const char *s, char **end, int base) { return strtol(s, end, base); }
unsigned long __isoc23_strtoul(const char *s, char **end, int base) { return strtoul(s, end, base); }
void _ZSt21ios_base_library_initv(void) {}
`;

const SHT_GNU_VERNEED = 0x6ffffffe;
const VER_FLG_WEAK = 2;

/** Makes wanted versions of libraries optional (ELF64, gABI symbol versioning); gives how many it changed. */
function weaken(elf: Buffer): number {
  let changed = 0;
  const sections = Number(elf.readBigUInt64LE(0x28));
  const [size, count] = [elf.readUInt16LE(0x3a), elf.readUInt16LE(0x3c)];
  for (let i = 0; i < count; i++) {
    const section = sections + i * size;
    if (elf.readUInt32LE(section + 4) !== SHT_GNU_VERNEED) continue;
    const strings = Number(elf.readBigUInt64LE(sections + elf.readUInt32LE(section + 0x28) * size + 0x18));
    let library = Number(elf.readBigUInt64LE(section + 0x18));
    for (let more = elf.readUInt32LE(section + 0x2c); more > 0; more--) {
      let version = library + elf.readUInt32LE(library + 8);
      for (let left = elf.readUInt16LE(library + 2); left > 0; left--) {
        const at = strings + elf.readUInt32LE(version + 8);
        const isWeak = elf.readUInt16LE(version + 4) === VER_FLG_WEAK;
        if (!isWeak && TOO_NEW.test(elf.toString("latin1", at, elf.indexOf(0, at)))) {
          elf.writeUInt16LE(VER_FLG_WEAK, version + 4);
          changed++;
        }
        version += elf.readUInt32LE(version + 12);
      }
      library += elf.readUInt32LE(library + 12);
    }
  }
  return changed;
}

const libcVersion = () => {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? "0";
};

/**
 * The command of the fuzzer with the environment that it needs. Its prebuilt part asks for a C library of 2.38; where that is
 * older, a copy that does not insist is put in its place, with the missing functions beside it.
 */
export async function fuzzer(): Promise<{ command: string; environment: Record<string, string> }> {
  const core = path.dirname(require.resolve("@jazzer.js/core/package.json"));
  const command = path.join(core, "dist/cli.js");
  const [major = 0, minor = 0] = libcVersion().split(".").map(Number);
  if (major > 2 || minor >= 38) return { command, environment: {} };
  const native = path.dirname(createRequire(path.join(core, "package.json")).resolve("@jazzer.js/fuzzer/package.json"));
  const addon = path.join(native, "prebuilds", `fuzzer-${process.platform}-${process.arch}.node`);
  const library = path.join(WORK, "compatibility.so");
  await mkdir(WORK, { recursive: true });
  const elf = await readFile(addon);
  if (weaken(elf) > 0) {
    // Not into the file itself: whoever runs it now would die of that.
    const changed = `${addon}.${process.pid}`;
    await writeFile(changed, elf);
    await rename(changed, addon);
  }
  const source = path.join(WORK, "compatibility.c");
  await writeFile(source, COMPATIBILITY);
  await run(process.env.CC || "cc", ["-O2", "-shared", "-fPIC", "-o", library, source]);
  return { command, environment: { LD_PRELOAD: library } };
}
