// The dependency rule of docs/adr/0001: who may import whom.
const lib = (...names) => `^libs/(${names.join("|")})/`;
const only = (name, ...allowed) => ({
  name: `${name}-imports`,
  severity: "error",
  comment: `libs/${name} may import ${allowed.length ? allowed.map((a) => `libs/${a}`).join(", ") : "no other library of ours"}`,
  from: { path: lib(name), pathNot: "\\.spec\\.ts$" },
  to: { path: "^(libs|apps)/", pathNot: lib(name, ...allowed) },
});

module.exports = {
  forbidden: [
    only("base"),
    only("dataplane", "base"),
    only("ike", "base", "dataplane"),
    only("esp", "base"),
    only("linux-io", "base"),
    only("xfrm", "base", "dataplane", "linux-io"),
    only("userspace", "base", "dataplane", "linux-io", "esp"),
    only("pki", "base"),
    only("dns", "base"),
    only("pkcs11", "base", "pki"),
    only("intent", "base", "dataplane", "ike"),
    only("contract", "base", "intent"),
    only("handover", "base", "intent", "pki"),
    {
      name: "pure-libs",
      severity: "error",
      comment: "base, dns, ike, esp, intent and handover use nothing of Node but crypto and buffer",
      from: { path: lib("base", "dns", "ike", "esp", "intent", "handover"), pathNot: ["\\.spec\\.ts$", "/testing/"] },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(crypto|buffer)$" },
    },
    {
      name: "testkit-is-for-tests",
      severity: "error",
      from: { path: "^(libs|apps)/", pathNot: ["\\.spec\\.ts$", "^libs/testkit/"] },
      to: { path: lib("testkit") },
    },
    { name: "libs-know-no-app", severity: "error", from: { path: "^libs/" }, to: { path: "^apps/" } },
    {
      name: "adapters-are-joined-in-the-agent",
      severity: "error",
      from: { path: "^apps/", pathNot: "^apps/agent/" },
      to: { path: lib("xfrm", "userspace", "linux-io") },
    },
    {
      name: "no-circles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(/dist/|/generated/)" },
    parser: "swc",
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["types", "import", "default"],
    },
  },
};
