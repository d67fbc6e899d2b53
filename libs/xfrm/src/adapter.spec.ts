import { Fault, IpAddress, Prefix } from "@sallyport/base";
import type { PolicySpec } from "@sallyport/dataplane";
import { NetlinkWriter } from "@sallyport/linux-io";
import { EventQueue, eventOf } from "./events.js";
import { translated } from "./faults.js";
import { OptionalPolicies } from "./optional-policies.js";
import { Registry } from "./registry.js";
import { parseStatistics } from "./statistics.js";
import { XFRM_MSG, XFRMA } from "./wire/constants.js";

const [near, far] = [IpAddress.parse("192.0.2.1"), IpAddress.parse("192.0.2.2")];
const id = { destination: far, protocol: "esp", spi: 0x1000 } as const;

function refusal(errno: string, text?: string, offset?: number): Fault {
  return new Fault(
    "linux-io/netlink-refused",
    `adding failed: ${errno}`,
    { retry: true, expose: false },
    {
      value: errno,
      ...(offset === undefined ? {} : { offset }),
      facts: { errno, ...(text ? { text } : {}) },
    },
  );
}

describe("refusals of the kernel", () => {
  const none = new Uint8Array(0);

  it.each([
    ["ENOSYS", undefined, "encryption.algorithm"],
    ["ENOSYS", "Requested AUTH_TRUNC algorithm not found", "integrity.algorithm"],
    ["EINVAL", "Requested replay window is too large", "replayWindow"],
    ["EPROTONOSUPPORT", "Requested type not found", "protocol"],
    ["EEXIST", undefined, "spi"],
    ["EINVAL", undefined, "sa"],
  ])("%s %s is the fault of %s", (errno, text, field) => {
    expect(translated(refusal(errno, text), none, "sa")).toMatchObject({
      code: "dataplane/refused",
      field,
      value: errno,
      facts: { errno, ...(text ? { text } : {}) },
    });
  });

  it("that point at an attribute blame what it stands for", () => {
    const body = new NetlinkWriter().zero(8);
    body.attribute(XFRMA.encap, (w) => w.u32(0)).attribute(XFRMA.algAead, (w) => w.u32(0));
    expect(translated(refusal("EINVAL", undefined, 8), body.done(), "sa").field).toBe("encapsulation");
    expect(translated(refusal("EINVAL", undefined, 16), body.done(), "sa").field).toBe("encryption");
    expect(translated(refusal("EINVAL", undefined, 4000), body.done(), "sa").field).toBe("sa");
  });

  it("are told apart from troubles of the socket", () => {
    const closed = new Fault("linux-io/closed", "closed", { retry: false, expose: false });
    expect(translated(closed, none, "sa").code).toBe("dataplane/closed");
    const lost = new Fault("linux-io/netlink-overrun", "lost", { retry: true, expose: false });
    expect(translated(lost, none, "sa").code).toBe("dataplane/failed");
    expect(() => translated(new TypeError("ours"), none, "sa")).toThrow(TypeError);
  });
});

describe("outbound policies of level use", () => {
  const template = { source: near, destination: far, protocol: "esp", mode: "tunnel", reqid: 7, level: "use" } as const;
  const policy: PolicySpec = {
    direction: "out",
    selector: { source: Prefix.parse("10.1.0.0/16"), destination: Prefix.parse("10.2.0.0/16"), protocol: 0 },
    action: "encrypt",
    priority: 5,
    template,
  };
  const sa = { ...template, direction: "out" } as const;

  it("encrypt while an SA fits, and let pass otherwise", () => {
    const optional = new OptionalPolicies();
    expect(optional.set(policy)).toEqual({ direction: "out", selector: policy.selector, priority: 5, action: "none" });
    expect(optional.added("other", { ...sa, reqid: 8 })).toEqual([]);
    expect(optional.added("inbound", { ...sa, direction: "in" })).toEqual([]);
    expect(optional.added("first", sa)).toEqual([policy]);
    expect(optional.added("second", sa)).toEqual([]);
    expect(optional.removed("first")).toEqual([]);
    expect(optional.removed("second")).toEqual([expect.objectContaining({ action: "none" })]);
    expect(optional.removed("second")).toEqual([]);
  });

  it("are listed as they were asked for, until they are removed", () => {
    const optional = new OptionalPolicies();
    const installed = optional.set(policy);
    expect(optional.asked(installed)).toBe(policy);
    optional.delete(policy);
    expect(optional.asked(installed)).toBe(installed);
    expect(optional.added("first", sa)).toEqual([]);
  });

  it("are only those that go out", () => {
    expect(OptionalPolicies.applies(policy)).toBe(true);
    expect(OptionalPolicies.applies({ ...policy, direction: "in" })).toBe(false);
    expect(OptionalPolicies.applies({ ...policy, template: { ...template, level: "require" } })).toBe(false);
  });
});

describe("the registry", () => {
  it("forgets reservations that lapsed, and turns others into SAs", () => {
    let now = 0;
    const registry = new Registry(() => now);
    registry.reserve(id);
    expect(registry.isReserved(id)).toBe(true);
    registry.add(id, 7, "in");
    expect(registry.isReserved(id)).toBe(false);
    expect(registry.get(id)).toMatchObject({ reqid: 7, direction: "in" });
    registry.reserve({ ...id, spi: 1 });
    now = 31_000;
    registry.reserve({ ...id, spi: 2 });
    expect(registry.reservations().map((reserved) => reserved.spi)).toEqual([2]);
  });

  it("tells age by its own clock and counters over moves", () => {
    let now = 5_000;
    const registry = new Registry(() => now);
    const told = {
      ...id,
      ...({ user: 0, source: near, direction: "out", mode: "tunnel", reqid: 7, bytes: 10n, packets: 1n } as const),
      ...{
        replayed: 0,
        integrityFailures: 0,
        outOfWindow: 0,
        replayWindow: 0,
        addedAt: 0,
        lastUsedAt: 0,
        sequence: 1n,
      },
    };
    registry.add(id, 7, "out", { bytes: 90n, packets: 9n }, 60);
    now += 2_500;
    expect(registry.state(told)).toMatchObject({ bytes: 100n, packets: 10n, ageSeconds: 62, idleSeconds: undefined });
  });
});

describe("statistics", () => {
  it("go by their checklist names", () => {
    const text = "XfrmInError             \t1\nXfrmInNoStates \t22\nXfrmOutPolError\t3\nXfrmFwdHdrError 4\nnonsense\n";
    expect(parseStatistics(text)).toEqual({ "in-errors": 1n, "in-no-states": 22n, "out-policy-errors": 3n });
  });
});

describe("events", () => {
  it("wait for their listener, the newest thousand of them", () => {
    const queue = new EventQueue();
    for (let spi = 0; spi < 1030; spi++) queue.push({ on: "expire", sa: { ...id, spi }, reqid: 1, hard: true });
    const got: number[] = [];
    queue.listen((event) => event.on === "expire" && got.push(event.sa.spi));
    expect([got.length, got[0], got.at(-1)]).toEqual([1024, 6, 1029]);
  });

  it("of other message types are none", () => {
    expect(eventOf({ type: XFRM_MSG.newSa, body: new Uint8Array(0) })).toBeUndefined();
  });

  it("of entries without our mark are none", () => {
    expect(eventOf({ type: XFRM_MSG.expire, body: new Uint8Array(232) })).toBeUndefined();
    expect(eventOf({ type: XFRM_MSG.acquire, body: new Uint8Array(280) })).toBeUndefined();
  });
});
