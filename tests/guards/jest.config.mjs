import config from "../../jest.config.mjs";

const unit = config.projects.find((project) => project.displayName === "unit");
const [[files, [, options]]] = Object.entries(unit.transform);

/** The unit tests with one guard taken away. */
export default {
  ...unit,
  rootDir: "../..",
  transform: { [files]: ["<rootDir>/tests/guards/without.mjs", options] },
};
