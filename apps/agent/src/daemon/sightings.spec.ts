import { createHash } from "node:crypto";
import type { IkeEvent } from "@sallyport/ike";
import type { Certificate } from "@sallyport/pki";
import type { NewSighting } from "../stream/index.js";
import { Sightings } from "./sightings.js";

const HOUR = 3_600_000;

function certificate(name: string, octets = 100): Certificate {
  const der = Buffer.alloc(octets, name);
  return { der, fingerprint: createHash("sha256").update(der).digest("hex") } as unknown as Certificate;
}

function set(own: Certificate[], ...taken: Certificate[]) {
  const told: string[] = [];
  const name = ({ certificate: der, tunnelId, identity }: NewSighting) =>
    `${String.fromCharCode(der[0] ?? 0)} ${tunnelId} ${identity}`;
  const sightings = new Sightings(
    { own: () => own, taken: (fingerprint) => taken.find((c) => c.fingerprint === fingerprint) },
    { certificate: (seen) => void told.push(name(seen)) },
  );
  const up = (
    peer: string,
    at: number,
    proof: readonly Certificate[],
    who: { remoteId?: string; user?: string } = {},
  ) => {
    const ike = { peer, remoteId: "partner.example", certificates: proof.map((c) => c.fingerprint), ...who };
    sightings.up({ event: "ike-up", peer, at, ike } as unknown as Extract<IkeEvent, { event: "ike-up" }>, at);
  };
  return { sightings, told, up };
}

describe("certificates that the control plane is told of", () => {
  const [a, b, large, unknown] = [certificate("a"), certificate("b"), certificate("l", 9_000), certificate("u")];

  test("are those by which peers have proved themselves, once at each connection, and again after half a day", () => {
    const { told, up } = set([], a, b, large);
    up("t1", 0, [a]);
    up("t1", HOUR, [a, b]);
    up("t2", 2 * HOUR, [a], { user: "ann@example.org" });
    up("t3", 3 * HOUR, [large, unknown]);
    up("t4", 3 * HOUR, []);
    expect(told).toEqual(["a t1 partner.example", "b t1 partner.example", "a t2 ann@example.org"]);
    up("t1", 12 * HOUR, [a]);
    expect(told.slice(3)).toEqual(["a t1 partner.example"]);
  });

  test("are those that the gateway shows, as soon as there are others", () => {
    const own = [a];
    const { sightings, told } = set(own);
    sightings.own(0);
    own.push(b);
    sightings.own(1);
    sightings.own(2);
    expect(told).toEqual(["a  ", "b  "]);
  });
});
