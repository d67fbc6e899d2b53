import { beforeEach, describe, expect, test } from "@jest/globals";
import type { Changes } from "../../platform/database/changes.js";
import type { Database, Tx } from "../../platform/database/database.js";
import type { Prisma, Rotation } from "../../platform/prisma/generated/client.js";
import type { AuthoritySuccession } from "../certificates/authority-succession.service.js";
import type { GatewayCertificateSaga } from "./gateway-certificate.saga.js";
import { Reissue } from "./reissue.js";
import type { NewItem, RotationStarter } from "./rotation-starter.js";
import type { Subject } from "./saga.js";

const subject: Subject = { id: "item", organizationId: "o", rotationId: "whole", subjectId: "ca", name: "CA" };
const window = { windowDays: [6], windowFrom: 120, windowMinutes: 60, windowZone: "UTC" };
const whole = { id: "whole", batch: 5, patience: 60, requestedBy: "ann", ...window };

let left: string[];
let part: Pick<Rotation, "id" | "state" | "failure" | "finishedAt"> | null;
let stepAt: Date;
let started: { row: Prisma.RotationUncheckedCreateInput; step: string; items: readonly NewItem[] }[];
let step: Reissue["step"];

beforeEach(() => {
  left = ["g1", "g2"];
  part = null;
  stepAt = new Date(1_000);
  started = [];
  const client = {
    rotation: { findFirst: async () => part, findUniqueOrThrow: async () => whole },
    rotationItem: { findUniqueOrThrow: async () => ({ stepAt }) },
    gateway: { findMany: async () => left.map((id) => ({ id, name: `gateway ${id}` })) },
  };
  const commit = async (_: unknown, work: (tx: Tx) => Promise<unknown>) => work(client as unknown as Tx);
  const start = async (_: Tx, row: Prisma.RotationUncheckedCreateInput, first: string, items: readonly NewItem[]) => {
    started.push({ row, step: first, items });
    part = { id: "part", state: "RUNNING", failure: null, finishedAt: null };
  };
  ({ step } = new Reissue(
    { client } as unknown as Database,
    { commit } as unknown as Changes,
    { leftBehind: async () => left } as unknown as AuthoritySuccession,
    { start } as unknown as RotationStarter,
    { kind: "GATEWAY_CERTIFICATE", steps: [{ name: "introduce" }] } as unknown as GatewayCertificateSaga,
  ));
});

const perform = () => step.perform(subject, async () => undefined);
const is = (state: Rotation["state"], finishedAt: Date | null = null, failure: string | null = null) => {
  part = { id: "part", state, failure, finishedAt };
};

describe("moving gateways to another authority", () => {
  test("is one rotation of those that are left behind, as the whole is, however often it is performed", async () => {
    await perform();
    await perform();
    expect(started).toEqual([
      {
        row: {
          ...{ organizationId: "o", partOfId: "item", kind: "GATEWAY_CERTIFICATE", requestedBy: "ann" },
          ...{ batch: 5, patience: 60, ...window },
        },
        step: "introduce",
        items: ["g1", "g2"].map((id) => ({ subjectId: id, name: `gateway ${id}` })),
      },
    ]);
    expect(await step.waitsFor(subject)).toMatch(/^2 gateways still show/);
    left = [];
    expect(await step.waitsFor(subject)).toBe("the rotation part is not over");
    is("DONE");
    expect(await step.waitsFor(subject)).toBeUndefined();
  });

  test("is over without one when nobody is left behind", async () => {
    left = [];
    await perform();
    expect(started).toEqual([]);
    expect(await step.waitsFor(subject)).toBeUndefined();
  });

  test("goes on with another when somebody was left out", async () => {
    is("DONE");
    await perform();
    expect(started).toHaveLength(1);
  });

  test("waits for one that is paused, and stops when it fails", async () => {
    is("PAUSED");
    expect(await step.waitsFor(subject)).toContain("the rotation part is paused");
    is("FAILED", null, "g1 is away");
    await expect(step.waitsFor(subject)).rejects.toMatchObject({ code: "rotation/part-failed" });
    await perform();
    expect(started).toEqual([]);
  });

  test("stops when it is aborted, and begins another when the whole is resumed after that", async () => {
    is("ABORTED", new Date(2_000));
    await expect(perform()).rejects.toMatchObject({ code: "rotation/part-failed" });
    await expect(step.waitsFor(subject)).rejects.toMatchObject({ code: "rotation/part-failed" });
    stepAt = new Date(3_000);
    await perform();
    expect(started).toHaveLength(1);
  });
});
