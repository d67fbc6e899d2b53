import fc from "fast-check";
import { payloads as payloadOf } from "./arbitraries.spec-helper.js";
import {
  checkPlacement,
  EXCHANGE,
  NOTIFY,
  notification,
  type Payload,
  type PayloadKind,
  PLACEMENT,
  type Placement,
  type PlacementName,
  placementOf,
} from "./index.js";

const sample = (kind: PayloadKind) =>
  fc.sample(payloadOf[kind] as fc.Arbitrary<Payload>, { numRuns: 1, seed: 1 })[0] as Payload;
const status = notification("INITIAL_CONTACT");
const of = (kinds: readonly PayloadKind[]) => kinds.map((kind) => (kind === "N" ? status : sample(kind)));

function check(name: PlacementName, payloads: readonly Payload[]): void {
  const [exchange = "", direction] = name.split(" ");
  const header = { exchange: EXCHANGE[exchange as keyof typeof EXCHANGE], response: direction === "response" };
  const row: Placement = PLACEMENT[name];
  const message = row.protected ? { clear: [], inner: payloads } : { clear: payloads, inner: undefined };
  checkPlacement({ header, ...message }, name.endsWith("later"));
}

const missing = (field: string) => expect.objectContaining({ code: "ike/payload-missing", field });
const notAllowed = (field: string) => expect.objectContaining({ code: "ike/payload-not-allowed", field });

/** A message of each row as peers send it. */
const USUAL: Readonly<Record<PlacementName, readonly PayloadKind[]>> = {
  "IKE_SA_INIT request": ["SA", "KE", "Nonce", "N", "N", "V"],
  "IKE_SA_INIT response": ["SA", "KE", "Nonce", "N", "CERTREQ", "V"],
  "IKE_AUTH request": ["IDi", "CERT", "CERTREQ", "IDr", "AUTH", "CP", "SA", "TSi", "TSr", "N"],
  "IKE_AUTH response": ["IDr", "CERT", "AUTH", "CP", "SA", "TSi", "TSr", "N"],
  "IKE_AUTH request later": ["EAP"],
  "IKE_AUTH response later": ["AUTH", "CP", "SA", "TSi", "TSr"],
  "CREATE_CHILD_SA request": ["N", "SA", "Nonce", "KE", "TSi", "TSr"],
  "CREATE_CHILD_SA response": ["SA", "Nonce", "KE"],
  "INFORMATIONAL request": ["D", "N"],
  "INFORMATIONAL response": [],
};

describe.each(Object.entries(USUAL) as [PlacementName, PayloadKind[]][])("%s", (name, usual) => {
  const row: Placement = PLACEMENT[name];

  it("takes what peers send, and unknown payloads anywhere", () => {
    check(name, of(usual));
    check(name, of(["unknown", ...usual, "unknown", "V", "V"]));
  });

  it("wants each mandatory payload, and one of those that may not stand twice", () => {
    for (const kind of usual) {
      const [min, max] = row.payloads[kind] ?? [0, Number.POSITIVE_INFINITY];
      if (min > 0) expect(() => check(name, of(usual.filter((k) => k !== kind)))).toThrow(missing(kind));
      if (max === 1) expect(() => check(name, of([...usual, kind]))).toThrow(notAllowed(kind));
    }
  });

  it("takes no payload that its row does not name", () => {
    for (const kind of Object.keys(payloadOf) as PayloadKind[]) {
      if (row.payloads[kind] || kind === "V" || kind === "unknown") continue;
      expect(() => check(name, of([...usual, kind]))).toThrow(notAllowed(kind));
    }
  });

  it("is either inside SK or outside", () => {
    const header = {
      exchange: EXCHANGE[name.split(" ")[0] as keyof typeof EXCHANGE],
      response: name.includes("response"),
    };
    const later = name.endsWith("later");
    const payloads = of(usual);
    const swapped = row.protected ? { clear: payloads, inner: undefined } : { clear: [], inner: payloads };
    expect(() => checkPlacement({ header, ...swapped }, later)).toThrow(
      row.protected ? missing("SK") : notAllowed("SK"),
    );
    if (row.protected) {
      expect(() => checkPlacement({ header, clear: [status], inner: payloads }, later)).toThrow(notAllowed("N"));
    }
  });
});

describe("groups", () => {
  it("SA, TSi and TSr stand together in IKE_AUTH", () => {
    check("IKE_AUTH request", of(["IDi", "AUTH"]));
    expect(() => check("IKE_AUTH request", of(["IDi", "AUTH", "SA"]))).toThrow(missing("TSi"));
    expect(() => check("IKE_AUTH response", of(["IDr", "AUTH", "TSi", "TSr"]))).toThrow(missing("SA"));
  });

  it("an answer authenticates or asks by EAP", () => {
    expect(() => check("IKE_AUTH response", of(["IDr"]))).toThrow(missing("AUTH or EAP"));
    check("IKE_AUTH response", of(["IDr", "EAP"]));
  });

  it("a later round of IKE_AUTH names another identity, goes on with EAP, or waits for the other end's proof", () => {
    check("IKE_AUTH request later", of(["IDi", "CERT", "AUTH", "N"]));
    check("IKE_AUTH request later", []);
    check("IKE_AUTH response later", of(["IDr", "AUTH", "N"]));
    expect(() => check("IKE_AUTH request later", of(["SA", "TSi", "TSr"]))).toThrow(notAllowed("SA"));
    expect(() => check("IKE_AUTH response later", of(["AUTH", "SA"]))).toThrow(missing("TSi"));
  });

  it("CREATE_CHILD_SA has selectors or a key exchange", () => {
    expect(() => check("CREATE_CHILD_SA request", of(["SA", "Nonce"]))).toThrow(missing("KE or TSi"));
    expect(() => check("CREATE_CHILD_SA request", of(["SA", "Nonce", "TSi"]))).toThrow(missing("TSr"));
  });
});

describe("what is missing is excused", () => {
  const error = notification("NO_PROPOSAL_CHOSEN");

  it("by an error in a response, and by a cookie in IKE_SA_INIT", () => {
    check("IKE_SA_INIT response", [error]);
    check("IKE_SA_INIT response", [notification("COOKIE", new Uint8Array(8))]);
    check("IKE_AUTH response", [error]);
    check("CREATE_CHILD_SA response", [error]);
  });

  it("by no status notification and in no request", () => {
    expect(() => check("IKE_SA_INIT response", [status])).toThrow(missing("SA"));
    expect(() => check("IKE_AUTH response", [notification("COOKIE")])).toThrow(missing("IDr"));
    expect(() => check("IKE_SA_INIT request", [error])).toThrow(missing("SA"));
    expect(() => check("CREATE_CHILD_SA request", [error])).toThrow(missing("SA"));
    expect(NOTIFY.NO_PROPOSAL_CHOSEN).toBeLessThan(16384);
  });

  it("but not what stands there too often", () => {
    expect(() => check("IKE_SA_INIT response", [error, ...of(["KE", "KE"])])).toThrow(notAllowed("KE"));
  });
});

it("knows no other exchange", () => {
  for (const exchange of [0, 2, 33, 38, 43, 255]) {
    expect(placementOf({ exchange, response: false })).toBeUndefined();
    expect(() => checkPlacement({ header: { exchange, response: false }, clear: [], inner: undefined })).toThrow(
      expect.objectContaining({ code: "ike/unknown-exchange", value: String(exchange) }),
    );
  }
});
