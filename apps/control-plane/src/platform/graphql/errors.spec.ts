import { describe, expect, test } from "@jest/globals";
import { faultTable } from "@sallyport/base";
import { GraphQLError } from "graphql";
import { createLog, type Log } from "../log/log.js";
import { errorFormatter, formatError } from "./errors.js";

const fault = faultTable({
  "spec/shown": { retry: true, expose: true },
  "spec/hidden": { retry: false, expose: false },
});
const wrapped = (cause: Error) => new GraphQLError(cause.message, { path: ["a", 0], originalError: cause });

function logged(): { log: Log; lines: object[] } {
  const lines: object[] = [];
  const log = createLog("silent");
  log.error = ((line: object) => lines.push(line)) as unknown as Log["error"];
  return { log, lines };
}

describe("formatError", () => {
  test("gives a fault's code, field, value, expected and facts, which never hide the code", () => {
    const cause = fault("spec/shown", "no", {
      field: "f",
      value: "v",
      expected: "e",
      facts: { ours: "o", theirs: "t", code: "other" },
    });
    expect(formatError(wrapped(cause), createLog("silent"))).toEqual({
      message: "no",
      path: ["a", 0],
      extensions: { code: "spec/shown", retry: true, field: "f", value: "v", expected: "e", ours: "o", theirs: "t" },
    });
  });

  test.each([
    ["an unknown error", new TypeError("the password is 1234")],
    ["a fault that is not for users", fault("spec/hidden", "the password is 1234")],
  ])("hides %s behind an id that the log has too", (_, cause) => {
    const { log, lines } = logged();
    const shown = formatError(wrapped(cause), log);
    expect(JSON.stringify(shown)).not.toContain("1234");
    expect(shown.extensions).toMatchObject({ code: "api/internal", errorId: expect.any(String) });
    expect(lines).toEqual([expect.objectContaining({ err: cause, errorId: shown.extensions?.errorId })]);
  });

  test("calls a database that is away by its name", () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    expect(formatError(wrapped(refused), createLog("silent")).extensions).toMatchObject({
      code: "platform/database-unavailable",
      retry: true,
    });
  });
});

describe("errorFormatter", () => {
  test("answers 400 when nothing was run, 200 when something was", () => {
    const format = errorFormatter(createLog("silent"));
    const invalid = new GraphQLError("Cannot query field");
    expect(format({ errors: [invalid] })).toMatchObject({ statusCode: 400, response: { data: null } });
    expect(format({ data: { a: null }, errors: [wrapped(fault("spec/shown", "no"))] })).toMatchObject({
      statusCode: 200,
      response: { data: { a: null } },
    });
    const several = Object.assign(new Error("Graphql validation error"), {
      code: "MER_ERR_GQL_VALIDATION",
      errors: [invalid, invalid],
    });
    expect(format({ errors: [wrapped(several)] }).response.errors).toHaveLength(2);
  });
});
