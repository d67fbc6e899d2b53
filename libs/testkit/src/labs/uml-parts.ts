import { access, readFile } from "node:fs/promises";
import path from "node:path";

/** Source of the preloaded library; two levels above this file both in src and in dist. */
export const SHIM_SOURCE = path.resolve(import.meta.dirname, "..", "..", "native", "uml-shim.c");

/** Where it is built, once a checkout. */
export const SHIM_DIRECTORY = path.resolve(import.meta.dirname, "..", "..", "..", "..", ".sallyport", "uml");

/** Debian's packages that a guest needs. */
const UML_PACKAGES = [
  "user-mode-linux",
  "kmod",
  "busybox-static",
  "iproute2",
  "gcc",
  "libc6-dev",
  "util-linux",
] as const;

/** Where Debian's package user-mode-linux puts things; the environment may name others. */
export async function kernelAndModules(): Promise<{ kernel: string; modules: string }> {
  const kernel = process.env.SALLYPORT_UML_KERNEL ?? "/usr/bin/linux.uml";
  const modules = process.env.SALLYPORT_UML_MODULES ?? "/usr/lib/uml/modules";
  for (const needed of [kernel, modules, "/bin/busybox", "/sbin/modprobe", "/usr/bin/taskset"]) {
    await access(needed).catch(() => {
      throw new Error(`no User Mode Linux here (${needed} is missing): apt-get install ${UML_PACKAGES.join(" ")}`);
    });
  }
  return { kernel, modules };
}

/** Of a list as the kernel writes it: `0-2,5` is 0, 1, 2 and 5. */
export function processorsOf(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
}

/** Guests of one process take turns; those of several begin where their lane of the test run says, or anywhere. */
let turn = Number(process.env.SALLYPORT_LANE ?? process.pid);

/**
 * The processor that the next guest stays on. Its kernel and its programs run by turns, several times for each system call, and
 * handing over to an idle processor takes many times as long as to the same one.
 */
export async function nextProcessor(): Promise<number> {
  const status = await readFile("/proc/self/status", "utf8");
  const allowed = processorsOf(/^Cpus_allowed_list:\s+(.*)$/m.exec(status)?.[1] ?? "0");
  return allowed[turn++ % allowed.length] ?? 0;
}
