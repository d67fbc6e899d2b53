import { access } from "node:fs/promises";
import path from "node:path";

/** Source of the preloaded library; two levels above this file both in src and in dist. */
export const SHIM_SOURCE = path.resolve(import.meta.dirname, "..", "..", "native", "uml-shim.c");

/** Where it is built, once a checkout. */
export const SHIM_DIRECTORY = path.resolve(import.meta.dirname, "..", "..", "..", "..", ".sallyport", "uml");

/** Debian's packages that a guest needs. */
const UML_PACKAGES = ["user-mode-linux", "kmod", "busybox-static", "iproute2", "gcc", "libc6-dev"] as const;

/** Where Debian's package user-mode-linux puts things; the environment may name others. */
export async function kernelAndModules(): Promise<{ kernel: string; modules: string }> {
  const kernel = process.env.SALLYPORT_UML_KERNEL ?? "/usr/bin/linux.uml";
  const modules = process.env.SALLYPORT_UML_MODULES ?? "/usr/lib/uml/modules";
  for (const needed of [kernel, modules, "/bin/busybox", "/sbin/modprobe"]) {
    await access(needed).catch(() => {
      throw new Error(`no User Mode Linux here (${needed} is missing): apt-get install ${UML_PACKAGES.join(" ")}`);
    });
  }
  return { kernel, modules };
}
