import { beforeEach, describe, expect, test } from "@jest/globals";
import type { Config } from "../../platform/config/config.js";
import type { Database, Tx } from "../../platform/database/database.js";
import { createLog } from "../../platform/log/log.js";
import type { RotationSchedule } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import type { EventService, NewEvent } from "../events/event.service.js";
import { fault } from "./faults.js";
import type { Rotatables } from "./rotatables.js";
import type { RotationInput } from "./rotation.service.js";
import { RotationScheduler } from "./rotation-scheduler.js";

const at = (text: string) => new Date(`2026-01-${text}T02:00:00Z`);
const NOW = new Date("2026-01-20T02:00:10Z");

let row: RotationSchedule;
let begun: { requestedBy: string; kind: string; input: object }[];
let events: NewEvent[];
let refusal: Error | undefined;
let scheduler: RotationScheduler;

beforeEach(() => {
  row = {
    ...{ id: "s", organizationId: "o", kind: "GATEWAY_CERTIFICATE", everyDays: 7, batch: 3, patience: 60 },
    ...{ windowDays: [6], windowFrom: 120, windowMinutes: 90, windowZone: "UTC" },
    ...{ requestedBy: "ann", nextAt: at("13"), createdAt: at("01") },
  };
  [begun, events, refusal] = [[], [], undefined];
  const client = {
    rotationSchedule: {
      findMany: async ({ where }: { where: { nextAt: { lte: Date } } }) =>
        row.nextAt <= where.nextAt.lte ? [{ ...row }] : [],
      updateMany: async ({ where, data }: { where: { nextAt: Date }; data: { nextAt: Date } }) => {
        const count = row.nextAt.getTime() === where.nextAt.getTime() ? 1 : 0;
        if (count > 0) row = { ...row, ...data };
        return { count };
      },
    },
  };
  /** What a transaction that fails has changed is as it was. */
  const transaction = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    const before = row;
    try {
      return await work(client as unknown as Tx);
    } catch (error) {
      row = before;
      throw error;
    }
  };
  const begin = ({ actor }: TenantContext, kind: string, { first, ...input }: RotationInput) =>
    transaction(async (tx) => {
      await first?.(tx);
      if (refusal) throw refusal;
      begun.push({ requestedBy: actor.name, kind, input });
    });
  const record = async (_: Tx, __: string, event: NewEvent) => void events.push(event);
  scheduler = new RotationScheduler(
    { roles: new Set() } as unknown as Config,
    createLog("silent"),
    { client, transaction } as unknown as Database,
    { begin } as unknown as Rotatables,
    { record } as unknown as EventService,
  );
});

describe("a schedule", () => {
  test("begins its rotation when its time has come, once, and makes up for what was missed once", async () => {
    const runs = await Promise.all([scheduler.run(NOW), scheduler.run(NOW)]);
    expect(runs.toSorted()).toEqual([0, 1]);
    const window = { days: [6], from: "02:00", minutes: 90, timeZone: "UTC" };
    expect(begun).toEqual([
      {
        ...{ requestedBy: "schedule of ann", kind: "GATEWAY_CERTIFICATE" },
        input: { batch: 3, patienceSeconds: 60, hold: false, window },
      },
    ]);
    expect(row.nextAt).toEqual(at("27"));
    expect(await scheduler.run(NOW)).toBe(0);
  });

  test("says why it could not begin, and waits for its next time", async () => {
    refusal = fault("rotation/under-way", "Hub is being rotated");
    expect(await scheduler.run(NOW)).toBe(0);
    expect(row.nextAt).toEqual(at("27"));
    expect(events).toMatchObject([{ kind: "rotation/not-begun", facts: { code: "rotation/under-way" } }]);
  });

  test("has no news when there is nothing to rotate", async () => {
    refusal = fault("rotation/nothing-to-do", "there is nothing to rotate");
    await scheduler.run(NOW);
    expect([row.nextAt, events]).toEqual([at("27"), []]);
  });

  test("keeps its time when the database fails", async () => {
    refusal = new Error("the database is away");
    expect(await scheduler.run(NOW)).toBe(0);
    expect(row.nextAt).toEqual(at("13"));
  });
});
