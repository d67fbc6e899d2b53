import { type Endpoint, IpAddress } from "@sallyport/base";
import { EXCHANGE, NOTIFY, NOTIFY_DATA, notification, type Payload } from "@sallyport/ike";
import { ADDRESSES } from "./configs.js";
import { childPayloads, SECRET, stage } from "./stage.spec-helper.js";

const { IKE_AUTH, INFORMATIONAL } = EXCHANGE;
const COOKIE = Uint8Array.from({ length: 16 }, (_, i) => i);
const update = (...more: Payload[]) => [notification("UPDATE_SA_ADDRESSES"), ...more];
const elsewhere: Endpoint = { address: IpAddress.parse("192.0.2.200"), port: 500 };

/** An initiator that speaks MOBIKE, or does not, and can send from anywhere. */
function roaming(speaks = true) {
  const s = stage();
  const child = childPayloads(0x2000);
  s.peer.ask(
    IKE_AUTH,
    s.peer.authPayloads("a.example", SECRET, [...(speaks ? [notification("MOBIKE_SUPPORTED")] : []), ...child]),
  );
  const local = { address: s.b.address, port: 500 };
  const from = (remote: Endpoint, payloads: readonly Payload[]) => {
    s.b.receive(local, remote, s.peer.seal(INFORMATIONAL, payloads));
    s.peer.mid++;
  };
  const traffic = () => `${s.b.dataPlane.outbound()[0]?.destination}`;
  return { ...s, from, traffic };
}

test("traffic does not go to a new address before somebody answers there", () => {
  const { b, sim, peer, asked, from, traffic } = roaming();
  from(elsewhere, update());
  const [request] = asked;
  if (!request) throw new Error("nobody asked");
  expect(`${request.to.address}`).toBe(`${elsewhere.address}`);
  sim.run(3);
  expect(traffic()).toBe(ADDRESSES.a);
  const cookie = peer.open(request.datagram).payloads.filter((p) => p.kind === "N" && p.type === NOTIFY.COOKIE2);
  peer.answer(request.datagram, cookie);
  expect(traffic()).toBe(`${elsewhere.address}`);
  expect(b.of("peer-moved")).toHaveLength(1);
});

test.each([
  ["another cookie", [NOTIFY_DATA.COOKIE2.build(COOKIE)]],
  ["a cookie cut short", [NOTIFY_DATA.COOKIE2.build(COOKIE.subarray(0, 8))]],
  ["no cookie", []],
])("%s in the answer ends the IKE SA (RFC 4555 §3.7)", (_, payloads) => {
  const { b, peer, asked, from } = roaming();
  from(elsewhere, update());
  const [request] = asked;
  if (!request) throw new Error("nobody asked");
  peer.answer(request.datagram, payloads);
  expect(b.established()).toEqual([]);
  expect(b.count("routability-cookie")).toBe(1);
});

test("an update of a peer that has not announced MOBIKE changes nothing", () => {
  const { b, asked, from, traffic } = roaming(false);
  from(elsewhere, update());
  expect(asked).toEqual([]);
  expect(traffic()).toBe(ADDRESSES.a);
  expect(b.established()[0]?.remote.address.toString()).toBe(ADDRESSES.a);
});

test("addresses of NO_NATS_ALLOWED that differ from the packet's are told, not used (§3.9)", () => {
  const { b, peer, traffic } = roaming();
  const claim = { source: elsewhere, destination: { address: b.address, port: 500 } };
  const reply = peer.ask(INFORMATIONAL, update(NOTIFY_DATA.NO_NATS_ALLOWED.build(claim)));
  expect(reply?.payloads.map((p) => p.kind === "N" && p.type)).toEqual([NOTIFY.UNEXPECTED_NAT_DETECTED]);
  expect(traffic()).toBe(ADDRESSES.a);
  expect(b.established()).toHaveLength(1);
});

test("a cookie comes back as it was, in the bounds of the RFC; beyond them the request is malformed", () => {
  const { b, peer } = roaming();
  const cookie = NOTIFY_DATA.COOKIE2.build(COOKIE);
  expect(peer.ask(INFORMATIONAL, [cookie])?.payloads).toEqual([cookie]);
  const long = { ...cookie, data: new Uint8Array(2_000) };
  expect(peer.ask(INFORMATIONAL, [long])?.payloads.map((p) => p.kind === "N" && p.type)).toEqual([
    NOTIFY.INVALID_SYNTAX,
  ]);
  expect(b.established()).toEqual([]);
});

test("however many moves, one IKE SA, one pair of SAs, and one question at a time", () => {
  const { b, asked, from } = roaming();
  for (let i = 1; i < 200; i++) from({ address: IpAddress.parse(`198.18.0.${i}`), port: i }, update());
  expect(asked.length).toBeLessThanOrEqual(200);
  expect(b.engine.sizes()).toMatchObject({ ikeSas: 1, waiting: 0 });
  expect(b.dataPlane.sas.size).toBe(2);
});

test("an address of the wrong length is malformed; a crowd of right ones is taken up to a bound", () => {
  const { b, peer } = roaming();
  const one = (i: number) => NOTIFY_DATA.ADDITIONAL_IP4_ADDRESS.build(IpAddress.parse(`198.18.1.${i}`));
  peer.ask(
    INFORMATIONAL,
    Array.from({ length: 60 }, (_, i) => one(i)),
  );
  expect(b.established()).toHaveLength(1);
  const reply = peer.ask(INFORMATIONAL, [{ ...one(1), data: new Uint8Array(5) }]);
  expect(reply?.payloads.map((p) => p.kind === "N" && p.type)).toEqual([NOTIFY.INVALID_SYNTAX]);
});
