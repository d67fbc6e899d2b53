import { create } from "@bufbuild/protobuf";
import { EventSchema, TunnelStateSchema } from "@sallyport/contract";
import { MAX_FOREIGN_TEXT as MAX_TEXT } from "../../platform/foreign-text.js";
import { agentEvent, tunnelReport } from "./report-mapping.js";

const NOW = new Date(0);
/** One character, two units of UTF-16: whoever cuts between them leaves what no JSON column takes. */
const WIDE = "\u{1f600}";

describe("what an agent reports, before it becomes a row", () => {
  test("is cut between characters, not within one", () => {
    const { message, kind, facts } = agentEvent(
      create(EventSchema, {
        code: `${"c".repeat(63)}${WIDE}`,
        message: `${"m".repeat(MAX_TEXT - 1)}${WIDE}`,
        facts: { [`${"k".repeat(63)}${WIDE}`]: `${"v".repeat(MAX_TEXT - 1)}${WIDE}` },
      }),
      NOW,
    );
    for (const text of [message, kind, ...Object.entries(facts ?? {}).flat()]) {
      expect(text).toMatch(/\ufffd$/);
      expect(text.isWellFormed()).toBe(true);
    }
  });

  test("has no character that begins a line or acts on a terminal", () => {
    const state = create(TunnelStateSchema, {
      lastError: { code: "a/b", message: "1\u20282\u20293\u202e4\u001b5\n6" },
    });
    expect(tunnelReport(state, NOW).lastError?.message).toBe("1\ufffd2\ufffd3\ufffd4\ufffd5\ufffd6");
  });
});
