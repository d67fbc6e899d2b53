import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isFault } from "@sallyport/base";
import pg from "pg";
import { EmbeddedPostgres } from "../src/platform/database/embedded-postgres.js";
import { migrate } from "../src/platform/database/migrations.js";
import { PrismaDatabase } from "../src/platform/database/prisma-database.js";
import { createLog } from "../src/platform/log/log.js";
import { eventually } from "./control-plane.js";
import { createDatabase, query } from "./database.js";

const log = createLog("silent");
const MIGRATIONS = path.resolve("prisma/migrations");
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "sallyport-spec-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe("migrations", () => {
  test("lead to the schema", async () => {
    const check = promisify(execFile)(process.execPath, ["prisma/make-migration.mjs", "--check"]);
    expect((await check).stdout).toContain("leads to prisma/schema.prisma");
  });

  test("are applied once, in order, and written down as Prisma's own tool would", async () => {
    const { connection, drop } = await createDatabase(true);
    const [one, two] = await Promise.all([migrate(connection, MIGRATIONS), migrate(connection, MIGRATIONS)]);
    expect([one.applied.length, two.applied.length].toSorted((a, b) => a - b)[0]).toBe(0);
    expect((await migrate(connection, MIGRATIONS)).applied).toEqual([]);
    const ledger = await query(
      connection,
      "SELECT migration_name, length(checksum) AS n, applied_steps_count, finished_at IS NOT NULL AS done, rolled_back_at FROM _prisma_migrations ORDER BY migration_name",
    );
    expect(ledger.map((row) => row.migration_name)).toEqual([...one.applied, ...two.applied]);
    for (const row of ledger)
      expect(row).toMatchObject({ n: 64, applied_steps_count: 1, done: true, rolled_back_at: null });
    await drop();
  });

  test("that were changed afterwards stop the start; a failing one leaves nothing; a newer version's are told", async () => {
    const { connection, drop } = await createDatabase(true);
    const folder = path.join(scratch, "migrations");
    await cp(MIGRATIONS, folder, { recursive: true });
    await migrate(connection, folder);
    const add = async (name: string, sql: string) => {
      await mkdir(path.join(folder, name), { recursive: true });
      await writeFile(path.join(folder, name, "migration.sql"), sql);
    };
    await add("29990101000000_half", "CREATE TABLE half (n int); SELECT 1 / 0;");
    await expect(migrate(connection, folder)).rejects.toMatchObject({
      code: "platform/migration-failed",
      field: "29990101000000_half",
    });
    expect(await query(connection, "SELECT to_regclass('half') AS t")).toEqual([{ t: null }]);
    await add("29990101000000_half", "CREATE TABLE half (n int);");
    expect((await migrate(connection, folder)).applied).toEqual(["29990101000000_half"]);
    await add("29990101000000_half", "CREATE TABLE half (n bigint);");
    await expect(migrate(connection, folder)).rejects.toMatchObject({
      code: "platform/migration-changed",
      field: "29990101000000_half",
    });
    expect((await migrate(connection, MIGRATIONS)).unknown).toEqual(["29990101000000_half"]);
    await drop();
  });
});

describe("the embedded PostgreSQL", () => {
  test("listens on a socket alone, keeps its password from others, and survives being killed", async () => {
    const home = path.join(scratch, "home");
    const server = await EmbeddedPostgres.start(home, log);
    const database = new PrismaDatabase(server.connection, log);
    try {
      expect((await stat(path.join(home, "password"))).mode & 0o777).toBe(0o600);
      const [row] = await database.client.$queryRaw<
        { addresses: string }[]
      >`SELECT current_setting('listen_addresses') AS addresses`;
      expect(row?.addresses).toBe("");
      await expect(new pg.Client({ ...server.connection, password: "wrong" }).connect()).rejects.toThrow(/password/);
      await database.client.$executeRaw`CREATE TABLE kept (n int)`;
      await database.client.$executeRaw`INSERT INTO kept VALUES (1)`;

      // A change that comes meanwhile waits for the database instead of failing.
      const waits = async (): Promise<{ n: number }[] | "in vain"> => {
        const killed = server.pid;
        process.kill(killed, "SIGKILL");
        const count = await database
          .transaction((tx) => tx.$queryRaw<{ n: number }[]>`SELECT count(*)::int AS n FROM kept`)
          .catch((error: unknown) => {
            if (isFault(error, "platform/database-unavailable")) return "in vain" as const;
            throw error;
          });
        await eventually(
          async () => server.pid,
          (pid) => pid !== killed,
        );
        await database.patiently(() => database.check());
        return count;
      };
      let count = await waits();
      // On a machine that stands still meanwhile, it starts more slowly than a change waits.
      for (let tries = 1; count === "in vain" && tries < 4; tries++) count = await waits();
      expect(count).toEqual([{ n: 1 }]);
    } finally {
      await database.close();
      await server.stop();
    }
    expect(() => process.kill(server.pid, 0)).toThrow(/ESRCH/);
  });

  test("works below a folder that its user may not enter", async () => {
    const closed = path.join(scratch, "closed");
    await mkdir(closed, { mode: 0o700 });
    const server = await EmbeddedPostgres.start(path.join(closed, "pg"), log);
    expect(await query({ ...server.connection }, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await server.stop();
  });

  test("that a killed control plane left running is taken over", async () => {
    const home = path.join(scratch, "orphan");
    const first = await EmbeddedPostgres.start(home, log);
    // As if its owner were gone: no process has this id.
    await writeFile(path.join(home, "owner"), "4194304 1");
    const second = await EmbeddedPostgres.start(home, log);
    expect(second.pid).toBe(first.pid);
    await second.stop();
    await first.stop();
    expect(() => process.kill(first.pid, 0)).toThrow(/ESRCH/);
  });
});
