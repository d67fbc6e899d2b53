import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { Fault } from "@sallyport/base";
import fc from "fast-check";
import {
  AgentMessageSchema,
  AgentService,
  decodeToken,
  encodeToken,
  fromConnectError,
  toConnectError,
  toProblem,
} from "./index.js";

const content = {
  secret: new Uint8Array(32).fill(7),
  urls: ["https://192.0.2.1:8444", "https://[2001:db8::1]:8444"],
  caPin: new Uint8Array(32).fill(9),
};

describe("messages", () => {
  it("keep uint64 counters and the case of the oneof", () => {
    const sent = create(AgentMessageSchema, {
      body: { case: "counters", value: { children: [{ tunnelId: "t", childId: "c", bytesIn: 2n ** 63n }] } },
    });
    const got = fromBinary(AgentMessageSchema, toBinary(AgentMessageSchema, sent));
    expect(got).toEqual(sent);
  });

  it("carry what a newer side added through an older one", () => {
    const unknown = Uint8Array.from([0x82, 0x7d, 2, 0, 0]); // field 2000, length 2
    const got = fromBinary(AgentMessageSchema, unknown);
    expect(got.body.case).toBeUndefined();
    expect(toBinary(AgentMessageSchema, got)).toEqual(unknown);
  });

  it("are spoken over one bidirectional stream", () => {
    expect(AgentService.method.connect.methodKind).toBe("bidi_streaming");
  });
});

describe("enrolment token", () => {
  it("round-trips, and needs no quoting in a shell", () => {
    const text = encodeToken(content);
    expect(text).toMatch(/^[\w-]+$/);
    expect(decodeToken(`  ${text}\n`)).toEqual(content);
  });

  it("is refused when any character is changed or missing", () => {
    const text = encodeToken(content);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom("", "A", "_", "9"), (at, by) => {
        const changed = text.slice(0, at) + by + text.slice(at + 1);
        fc.pre(changed !== text);
        expect(() => decodeToken(changed)).toThrow(expect.objectContaining({ code: "contract/bad-token" }));
      }),
    );
  });

  it("is decoded totally: any text gives a token or a coded fault without the text in it", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((s) => `spe1_${s}`),
        ),
        (text) => {
          expect(() => decodeToken(text)).toThrow(
            expect.objectContaining({ code: "contract/bad-token", field: "token", value: undefined }),
          );
        },
      ),
    );
  });

  it.each([
    ["http", ["http://192.0.2.1:1"]],
    ["a path", ["https://cp.example/x"]],
    ["credentials", ["https://u:p@cp.example"]],
    ["nothing", []],
    ["too many", Array.from({ length: 9 }, () => "https://cp.example")],
  ])("with a control plane of %s is refused", (_, urls) => {
    expect(() => decodeToken(encodeToken({ ...content, urls }))).toThrow(
      expect.objectContaining({ code: "contract/bad-token" }),
    );
  });
});

describe("faults over the wire", () => {
  const sent = new Fault(
    "enrolment/token-expired",
    "the token expired",
    { retry: false, expose: true },
    { field: "token", cause: new Error("inner") },
  );

  it("arrive with code, message and field", () => {
    const got = fromConnectError(toConnectError(sent));
    expect(got).toMatchObject({ code: sent.code, message: sent.message, field: "token", policy: { retry: false } });
  });

  it("that may not be shown arrive as an internal error", () => {
    const secret = new Fault("x/y", "password is hunter2", { retry: false, expose: false });
    expect(toConnectError(secret).message).not.toContain("hunter2");
    expect(fromConnectError(toConnectError(secret)).code).toBe("contract/unavailable");
    expect(toConnectError(new TypeError("at /etc/passwd")).message).not.toContain("passwd");
  });

  it("of the transport tell nobody-there from refused", () => {
    expect(fromConnectError(new ConnectError("gone", 14))).toMatchObject({ code: "contract/unavailable" });
    expect(fromConnectError(new ConnectError("no", 12))).toMatchObject({ code: "contract/refused" });
  });

  it("become the problem of a Nack", () => {
    const f = new Fault(
      "intent/invalid-field",
      "no",
      { retry: false, expose: true },
      { field: "connections[0].remote.host", value: "x", expected: "a host", facts: { ours: "a", theirs: "b" } },
    );
    expect(toProblem(f)).toMatchObject({
      code: "intent/invalid-field",
      field: "connections[0].remote.host",
      value: "x",
      facts: { ours: "a", theirs: "b" },
    });
    expect(toProblem(new Error("boom"))).toMatchObject({ code: "agent/internal", message: "boom" });
  });
});
