import { isFault } from "@sallyport/base";
import fc from "fast-check";
import { buildAddon } from "../../build.mjs";
import { RouteNetlink } from "../rtnetlink/socket.js";
import { NetlinkReader, NetlinkWriter } from "./codec.js";
import { decodeError, decodeMessages, encodeMessage, NLMSG } from "./messages.js";
import { NETLINK, NetlinkSocket } from "./socket.js";

const RTM_GETLINK = 18;
const wholeLink = () => new NetlinkWriter(16).zero(16).done();
const loopback = () => new NetlinkWriter(16).zero(4).u32(1).zero(8).done();

beforeAll(() => buildAddon());

describe("the netlink codec", () => {
  it("reads back attributes of any size, padded to four octets", () => {
    const attributes = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 70 })), {
      selector: ([type]) => type,
    });
    fc.assert(
      fc.property(attributes, (list) => {
        const writer = new NetlinkWriter(1);
        for (const [type, value] of list) writer.attribute(type, (w) => w.bytes(value));
        expect(writer.length % 4).toBe(0);
        const found = new NetlinkReader(writer.done()).attributes();
        expect(found.size).toBe(list.length);
        for (const [type, value] of list) expect(found.get(type)?.data).toEqual(value);
      }),
    );
  });

  it("takes any octets, or refuses them with a fault", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [
          () => decodeMessages(bytes),
          () => new NetlinkReader(bytes).attributes(),
          () => decodeError({ type: NLMSG.error, flags: 0x200, sequence: 1, port: 1, body: bytes }),
        ]) {
          try {
            decode();
          } catch (error) {
            expect(isFault(error, "linux-io/netlink-malformed")).toBe(true);
          }
        }
      }),
    );
  });

  it("separates the messages of a datagram", () => {
    const bodies = [new Uint8Array(0), Uint8Array.of(1, 2, 3, 4, 5), Uint8Array.of(9)];
    const datagram = Buffer.concat(bodies.map((body, index) => encodeMessage(16 + index, 2, index, body)));
    const messages = decodeMessages(datagram);
    expect(messages.map(({ type, sequence }) => [type, sequence])).toEqual([
      [16, 0],
      [17, 1],
      [18, 2],
    ]);
    expect(messages.map(({ body }) => Uint8Array.from(body))).toEqual(bodies);
  });

  it("keeps text within its field", () => {
    expect(new NetlinkWriter().text("abc", 4).done()).toEqual(Uint8Array.of(97, 98, 99, 0));
    expect(() => new NetlinkWriter().text("abcd", 4)).toThrow(
      expect.objectContaining({ code: "linux-io/bad-argument", value: "abcd" }),
    );
  });
});

describe("the kernel", () => {
  it("lists its links and addresses", async () => {
    const netlink = RouteNetlink.open();
    try {
      const link = await netlink.link("lo");
      expect(link).toMatchObject({ index: 1, name: "lo" });
      expect(link?.mtu).toBeGreaterThan(0);
      const [addresses, rules] = await Promise.all([netlink.addresses(), netlink.rules(4)]);
      expect(addresses.every((a) => a.prefixLength <= a.address.bytes.length * 8)).toBe(true);
      expect(rules.some((rule) => rule.table === 255)).toBe(true);
    } finally {
      netlink.close();
    }
  });

  it("answers more requests at once than its window holds, each to its own asker", async () => {
    const socket = NetlinkSocket.open({ protocol: NETLINK.route });
    try {
      const asked = Array.from({ length: 1000 }, () => socket.request(RTM_GETLINK, 0, loopback(), "asking for lo"));
      const answers = await Promise.all(asked);
      expect(answers.every(([first]) => first && new NetlinkReader(first.body).skip(4).u32("index") === 1)).toBe(true);
    } finally {
      socket.close();
    }
  });

  it("refuses with errno and its own words", async () => {
    const socket = NetlinkSocket.open({ protocol: NETLINK.route });
    try {
      const nowhere = new NetlinkWriter(16).zero(4).u32(0x7fffffff).zero(8).done();
      await expect(socket.request(RTM_GETLINK, 0, nowhere, "asking for a link")).rejects.toMatchObject({
        code: "linux-io/netlink-refused",
        value: "ENODEV",
        message: expect.stringContaining("asking for a link failed: ENODEV"),
      });
      await expect(socket.request(0x7fff, 0, nowhere, "asking nonsense")).rejects.toMatchObject({
        code: "linux-io/netlink-refused",
      });
    } finally {
      socket.close();
    }
  });

  it("says when answers were lost, and goes on", async () => {
    const socket = NetlinkSocket.open({ protocol: NETLINK.route, receiveBufferBytes: 2048 });
    try {
      const overrun = new Promise<void>((resolve) => socket.onMulticast(() => undefined, resolve));
      const asked = Array.from({ length: 50 }, () => socket.request(RTM_GETLINK, 0, loopback(), "asking for lo"));
      const outcomes = await Promise.allSettled(asked);
      await overrun;
      const lost = outcomes.filter((outcome) => outcome.status === "rejected");
      expect(lost.length).toBeGreaterThan(0);
      for (const { reason } of lost)
        expect(reason).toMatchObject({ code: "linux-io/netlink-overrun", value: "ENOBUFS" });
      const again = await socket.dump(RTM_GETLINK, wholeLink(), "listing links").catch((error) => error);
      expect(Array.isArray(again) || again.code === "linux-io/netlink-overrun").toBe(true);
    } finally {
      socket.close();
    }
  });

  it("answers nobody once the socket is closed", async () => {
    const socket = NetlinkSocket.open({ protocol: NETLINK.route });
    const pending = socket.request(RTM_GETLINK, 0, loopback(), "asking for lo");
    socket.close();
    await expect(pending).rejects.toMatchObject({ code: "linux-io/closed" });
    await expect(socket.request(RTM_GETLINK, 0, loopback(), "asking for lo")).rejects.toMatchObject({
      code: "linux-io/closed",
    });
  });
});
