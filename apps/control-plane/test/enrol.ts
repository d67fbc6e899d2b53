import { create } from "@bufbuild/protobuf";
import { CONTRACT_VERSION, decodeToken, EnrolRequestSchema } from "@sallyport/contract";
import { createRequest, generateKeys } from "@sallyport/pki";
import { EnrolmentService } from "../src/features/enrolment/enrolment.service.js";
import type { TestControlPlane } from "./control-plane.js";
import type { MadeSite } from "./fleet.js";

/** Brings a site's token as its agent would, without a network between. */
export async function enrol(cp: TestControlPlane, { enrolment }: MadeSite): Promise<void> {
  const csr = async () => createRequest(await generateKeys(), "ignored");
  const request = create(EnrolRequestSchema, {
    secret: decodeToken(enrolment.token).secret,
    identityCsr: await csr(),
    controlCsr: await csr(),
    agentVersion: "0.1.0",
    contractVersion: CONTRACT_VERSION,
    hostname: "spec",
  });
  await cp.application.nest.get(EnrolmentService, { strict: false }).enrol(request, "192.0.2.77");
}
