import path from "node:path";
import { complianceSuite } from "@sallyport/dataplane";
import { makePair } from "@sallyport/testkit";

/** The compliance suite against ESP over TUN and UDP, in namespaces of this machine. Needs root and the compiled libraries. */
const gatewayModule = path.join(import.meta.dirname, "userspace-gateway.ts");

complianceSuite("userspace", () => makePair({ gatewayModule }), {
  describe: (name, define) => describe(name, define),
  it: (name, run, timeoutMs) => it(name, run, timeoutMs),
  beforeAll: (run, timeoutMs) => beforeAll(run, timeoutMs),
  afterAll: (run, timeoutMs) => afterAll(run, timeoutMs),
});
