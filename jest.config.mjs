/** Unit tests sit beside the code; what needs root, a database or a kernel sits under tests/ and runs as its own project. */
const common = {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  moduleNameMapper: {
    "^@sallyport/([a-z-]+)$": "<rootDir>/libs/$1/src/index.ts",
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
  projects: [
    { ...common, displayName: "unit", rootDir: ".", testMatch: ["<rootDir>/{libs,apps,tools}/**/*.spec.ts"] },
    { ...common, displayName: "interop", rootDir: ".", testMatch: ["<rootDir>/tests/interop/**/*.interop.ts"] },
  ],
};
