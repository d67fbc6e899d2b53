// Compiles as the other suites do, but for one file, which goes without the guard that GUARD names.
import path from "node:path";
import swc from "@swc/jest";

const root = path.resolve(import.meta.dirname, "../..");
const { file, text, without } = JSON.parse(process.env.GUARD ?? "{}");

export default {
  createTransformer(options) {
    const inner = swc.createTransformer(options);
    const unguarded = (source, filename) =>
      filename === path.join(root, file) ? source.replaceAll(text, () => without) : source;
    return {
      canInstrument: false,
      process: (source, filename, o) => inner.process(unguarded(source, filename), filename, o),
      processAsync: (source, filename, o) => inner.processAsync(unguarded(source, filename), filename, o),
      getCacheKey: (source, filename, o) => inner.getCacheKey(unguarded(source, filename), filename, o),
    };
  },
};
