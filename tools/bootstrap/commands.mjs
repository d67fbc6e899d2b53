/** The native addon is compiled where it runs. */
const BUILD = ["gcc", "libc6-dev"];
/** Namespaces, pings, and a router that hides a branch. */
export const NETWORK = ["iproute2", "iputils-ping", "iptables"];
/** The peer that nobody here wrote. */
export const STRONGSWAN = [
  "charon-systemd",
  "strongswan-swanctl",
  "libcharon-extra-plugins",
  "libcharon-extauth-plugins",
  "libstrongswan-extra-plugins",
  "libstrongswan-standard-plugins",
];
/** What libreswan needs beside its own package, which conflicts with strongSwan's and is unpacked instead. */
export const LIBRESWAN_NEEDS = [
  ...["openssl", "libnss3-tools", "libldns3", "libevent-pthreads-2.1-7"],
  ...["libcurl3-nss", "libunbound8", "libcap-ng0"],
];
/** Packages that are unpacked below .sallyport/debian and not installed. */
export const UNPACKED = ["libreswan"];
/** A kernel with ESP as an ordinary process. */
export const KERNEL = ["user-mode-linux", "kmod", "busybox-static"];

/** What each command runs, and which Debian packages it wants. */
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
    debian: () => [
      ...BUILD,
      ...NETWORK,
      ...STRONGSWAN,
      ...KERNEL,
      ...LIBRESWAN_NEEDS,
      "redis-server",
      "pebble",
      "knot",
      "softhsm2",
      "chromium",
    ],
    unpacked: UNPACKED,
  },
  bench: { entry: "bench/main.ts", debian: () => [...BUILD, ...NETWORK, ...STRONGSWAN, "iperf3"] },
};
