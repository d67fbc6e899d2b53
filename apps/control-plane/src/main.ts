import { enableCompileCache } from "node:module";

// Before anything large is loaded: the second start takes half as long with it.
enableCompileCache();

const { run } = await import("./run.js");
await run(process.env);
