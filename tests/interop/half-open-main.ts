// Run by Node in the namespace of the callers: half-open-main.ts TARGET PER_SOURCE SOURCE...
import { openHalf } from "./half-open.ts";

const [target = "", perSource = "1", ...sources] = process.argv.slice(2);
await openHalf(sources, target, Number(perSource));
