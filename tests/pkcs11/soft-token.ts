import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import koffi from "koffi";

/** Debian's software token (package softhsm2). */
export const MODULE = "/usr/lib/softhsm/libsofthsm2.so";

/** Tokens of SoftHSM in a folder of their own. The module reads its configuration once a process, so there is one of these in each. */
export class SoftTokens {
  readonly folder = mkdtempSync(path.join(tmpdir(), "sallyport-softhsm-"));

  readonly #configuration = path.join(this.folder, "softhsm2.conf");

  constructor() {
    writeFileSync(
      this.#configuration,
      `directories.tokendir = ${this.folder}\nobjectstore.backend = file\nlog.level = ERROR\n`,
    );
    // The module asks C for its environment, of which a test's process.env is a copy.
    koffi.load("libc.so.6").func("setenv", "int", ["str", "str", "int"])("SOFTHSM2_CONF", this.#configuration, 1);
  }

  /** Makes a token, and the file that holds its PIN. */
  create(label: string, pin: string): { readonly pinFile: string } {
    const pins = ["--pin", pin, "--so-pin", "87654321"];
    execFileSync("softhsm2-util", ["--init-token", "--free", "--label", label, ...pins], {
      stdio: "ignore",
      env: { ...process.env, SOFTHSM2_CONF: this.#configuration },
    });
    const pinFile = path.join(this.folder, `${label}.pin`);
    writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });
    return { pinFile };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
