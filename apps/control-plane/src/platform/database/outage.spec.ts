import { fault } from "../faults.js";
import { isOutage } from "./prisma-database.js";

const of = (message: string, code?: string) => Object.assign(new Error(message), { code });

it.each([
  ["no connection", of("connect ECONNREFUSED 127.0.0.1:5432", "ECONNREFUSED")],
  ["a server that shuts down", of("terminating connection due to administrator command", "57P01")],
  ["a connection that broke", of("the connection failed", "08006")],
  [
    "a transaction that found no free connection",
    of("Transaction API error: Unable to start a transaction in the given time.", "P2028"),
  ],
  ["the same further down", new Error("a query failed", { cause: of("read ECONNRESET") })],
  ["what was waited for in vain", fault("platform/database-unavailable", "away", { cause: of("08001") })],
])("an outage is %s", (_, error) => {
  expect(isOutage(error)).toBe(true);
});

it.each([
  [
    "a fault of ours that names an id with such digits",
    fault("platform/bad-configuration", "no gateway 3f085123-57a1-4c08"),
  ],
  ["an error whose text has such digits inside", of("no gateway 3f085123-57a1-4c08-9081-f08123a57b01")],
  [
    "a transaction that took too long",
    of("Transaction API error: A query cannot be executed on an expired transaction.", "P2028"),
  ],
  ["a unique constraint", of("duplicate key value violates unique constraint", "23505")],
])("an outage is not %s", (_, error) => {
  expect(isOutage(error)).toBe(false);
});
