/** Unit tests sit beside the code; what needs root, a database or a kernel sits under tests/ and runs as its own project. */
const common = {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  moduleNameMapper: {
    "^@sallyport/([a-z0-9-]+)$": "<rootDir>/libs/$1/src/index.ts",
    "^(\\.{1,2}/.*)\\.js$": "$1",
  },
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      {
        jsc: {
          target: "es2024",
          parser: { syntax: "typescript", decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: "es6" },
      },
    ],
  },
  modulePathIgnorePatterns: ["<rootDir>/.*/dist/", "<rootDir>/.sallyport/"],
};

export default {
  // Machines that test stand still for seconds at times. What has to be quick is measured, not cut short.
  testTimeout: 120_000,
  projects: [
    {
      ...common,
      displayName: "unit",
      rootDir: ".",
      testMatch: ["<rootDir>/{libs,apps,tools}/**/*.spec.ts"],
      testPathIgnorePatterns: ["/node_modules/", "\\.db\\.spec\\.ts$"],
    },
    {
      ...common,
      displayName: "db",
      rootDir: ".",
      testMatch: ["<rootDir>/{apps,tests}/**/*.db.spec.ts"],
      globalSetup: "<rootDir>/apps/control-plane/test/global-setup.mjs",
      globalTeardown: "<rootDir>/apps/control-plane/test/global-teardown.mjs",
    },
    { ...common, displayName: "interop", rootDir: ".", testMatch: ["<rootDir>/tests/interop/**/*.interop.ts"] },
    { ...common, displayName: "interop-guest", rootDir: ".", testMatch: ["<rootDir>/tests/interop/*.guest.ts"] },
    { ...common, displayName: "interop-kernel", rootDir: ".", testMatch: ["<rootDir>/tests/interop/*.uml.ts"] },
    { ...common, displayName: "chaos", rootDir: ".", testMatch: ["<rootDir>/tests/chaos/*.chaos.ts"] },
    { ...common, displayName: "browser", rootDir: ".", testMatch: ["<rootDir>/tests/browser/**/*.browser.ts"] },
    { ...common, displayName: "compliance", rootDir: ".", testMatch: ["<rootDir>/tests/compliance/*.compliance.ts"] },
  ],
};
