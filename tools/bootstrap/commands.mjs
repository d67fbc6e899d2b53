/** What each command runs and which Debian packages it wants; the reason stands beside the package in debian.mjs. */
const BUILD = ["gcc", "libc6-dev"];
export const NETWORK = ["iproute2", "iputils-ping", "iptables"];
export const STRONGSWAN = [
  "charon-systemd",
  "strongswan-swanctl",
  "libcharon-extra-plugins",
  "libstrongswan-extra-plugins",
  "libstrongswan-standard-plugins",
];
export const KERNEL = ["user-mode-linux", "kmod", "busybox-static"];

export const COMMANDS = {
  demo: {
    entry: "tools/demo/main.ts",
    debian: (args) => [
      ...BUILD,
      ...NETWORK,
      ...STRONGSWAN,
      ...(args.includes("kernel") || args.includes("--data-plane=kernel") ? KERNEL : []),
    ],
  },
  start: { entry: "apps/control-plane/dist/main.js", debian: () => BUILD },
  test: {
    entry: "tools/test/main.ts",
    debian: () => [...BUILD, ...NETWORK, ...STRONGSWAN, ...KERNEL, "redis-server", "chromium", "iperf3"],
  },
  bench: { entry: "bench/main.ts", debian: () => [...BUILD, ...NETWORK, ...STRONGSWAN, "iperf3"] },
};
