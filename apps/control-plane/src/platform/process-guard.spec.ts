import { EventEmitter } from "node:events";
import { Writable } from "node:stream";
import { describe, expect, test } from "@jest/globals";
import { createLog } from "./log/log.js";
import { EXIT_BUG, guardProcess } from "./process-guard.js";

describe("an error that nobody caught", () => {
  test.each(["uncaughtException", "unhandledRejection"])(
    "by %s is logged without secrets and stops the process",
    (event) => {
      const lines: string[] = [];
      const into = new Writable({
        write(chunk, _, done) {
          lines.push(String(chunk));
          done();
        },
      });
      const exits: number[] = [];
      const events = new EventEmitter();
      guardProcess(
        events,
        () => createLog("info", into),
        (code) => exits.push(code),
      );
      const cause = new Error(`refused: sp_${"x".repeat(43)}`);
      events.emit(event, new Error("cannot reach postgres://fleet:hunter2@db/sallyport", { cause }));
      expect(exits).toEqual([EXIT_BUG]);
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "fatal", event, err: { type: "Error" } });
      expect(lines[0]).toContain("postgres://***@db/sallyport");
      expect(lines.join()).not.toMatch(/hunter2|xxxx/);
    },
  );
});
