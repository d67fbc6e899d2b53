import { describe, expect, test } from "@jest/globals";
import { compile, type FleetModel, type GatewayModel, listTunnels } from "@sallyport/intent";
import { type Authority, createIssuing, createRoot, MemoryKeyStore } from "@sallyport/pki";
import { claimOf, Prover, sameConnection } from "./prover.js";

const store = new MemoryKeyStore();
const now = Date.parse("2026-01-01T00:00:00Z");
const name = (commonName: string) => ({ organization: "Acme", commonName });
const base64 = ({ certificate }: Authority) => Buffer.from(certificate.der).toString("base64");

const root = await createRoot(store, name("root"), now);
const issuing = await createIssuing(store, root, name("issuing"), now);
const strange = await createIssuing(store, await createRoot(store, name("strange"), now), name("strange issuing"), now);

function fleet(branchIssuer: Authority, change: Partial<GatewayModel> = {}): FleetModel {
  const gateway = (id: string, issuer: Authority, fingerprint: string, more: Partial<GatewayModel>): GatewayModel => ({
    id,
    name: id,
    siteId: `site-${id}`,
    fqdn: `gw-${id}.acme.sallyport`,
    ports: { ike: 500, natt: 4500 },
    certificate: { fingerprint, intermediates: [base64(issuer)] },
    ...more,
  });
  return {
    organization: { id: "org", slug: "acme", name: "Acme" },
    sites: [
      { id: "site-hub", name: "Hub", subnets: ["10.1.0.0/16"] },
      { id: "site-branch", name: "Branch", subnets: ["10.2.0.0/16"] },
    ],
    gateways: [
      gateway("hub", issuing, "aa".repeat(32), { host: "198.51.100.1" }),
      gateway("branch", branchIssuer, "bb".repeat(32), change),
    ],
    networks: [{ id: "net", name: "Offices", hubs: ["hub"], spokes: ["branch"] }],
    externalPeers: [],
    profiles: [],
    internalAnchorIds: ["root"],
    trustAnchors: [{ id: "root", name: "root", der: base64(root) }],
    preSharedKeys: [],
  };
}

function claim(model: FleetModel) {
  const [tunnel] = listTunnels(model);
  if (!tunnel) throw new Error("no tunnel");
  return claimOf(model, tunnel, (id) => compile(model, id));
}

describe("the proof of a tunnel", () => {
  test("holds when both certificates lead to the anchor", async () => {
    const claimed = claim(fleet(issuing));
    expect((await new Prover().judge([claimed])).get(claimed.digest)).toBeUndefined();
  });

  test("fails when an end's intermediates lead elsewhere", async () => {
    const claimed = claim(fleet(strange));
    expect((await new Prover().judge([claimed])).get(claimed.digest)).toMatchObject({
      code: "intent/would-not-negotiate",
      field: "authentication",
    });
    await expect(new Prover().proveOwnedBy(fleet(strange), "branch")).rejects.toThrow(/trust anchors/);
  });

  test("does not depend on which leaf is shown, and does on whose", () => {
    const [before, renewed] = [
      fleet(issuing),
      fleet(issuing, { certificate: { fingerprint: "cc".repeat(32), intermediates: [base64(issuing)] } }),
    ];
    expect(claim(renewed).digest).toBe(claim(before).digest);
    expect(claim(fleet(strange)).digest).not.toBe(claim(before).digest);
    const id = claim(before).tunnel.id;
    expect(sameConnection(compile(before, "branch"), compile(renewed, "branch"), id)).toBe(true);
    expect(sameConnection(compile(before, "branch"), compile(fleet(strange), "branch"), id)).toBe(false);
  });
});
