// Writes the migration that leads from prisma/migrations to prisma/schema.prisma: `node prisma/make-migration.mjs NAME`.
// With --check it writes nothing and fails when one is missing. Needs a build (npm run build). Uses Prisma's schema engine in WASM,
// because the native one is a download, and the embedded PostgreSQL as shadow database.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from "@prisma/driver-adapter-utils";
import * as bindings from "@prisma/schema-engine-wasm/schema_engine_bg";
import pg from "pg";
import { EmbeddedPostgres } from "../apps/control-plane/dist/platform/database/embedded-postgres.js";
import { createLog } from "../apps/control-plane/dist/platform/log/log.js";

const folder = import.meta.dirname;
const migrations = path.join(folder, "migrations");
const schema = path.join(folder, "schema.prisma");
const LOCK = 'provider = "postgresql"\n';
const [name] = process.argv.slice(2);
if (name === undefined || !/^(--check|[a-z0-9_]+)$/.test(name)) {
  console.error("usage: node prisma/make-migration.mjs NAME | --check   (NAME: lower case letters, digits and _)");
  process.exit(64);
}

// Where the engine leaves the text of a panic before it traps.
globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (text) => console.error(text) };

async function schemaEngine(config) {
  const require = createRequire(import.meta.url);
  const entry = require.resolve("@prisma/schema-engine-wasm/schema_engine_bg");
  const wasm = await readFile(path.join(path.dirname(entry), "schema_engine_bg.wasm"));
  const { instance } = await WebAssembly.instantiate(wasm, { "./schema_engine_bg.js": bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  const datamodels = [[schema, await readFile(schema, "utf8")]];
  return bindings.SchemaEngine.new(
    { datamodels },
    () => {},
    bindMigrationAwareSqlAdapterFactory(new ShadowFactory(config)),
  );
}

// The describer reads catalogue types that the driver adapter does not know; as these they are right.
const KNOWN_AS = new Map([
  [18 /* "char" */, 25 /* text */],
  [194 /* pg_node_tree */, 25],
  [2205 /* regclass */, 25],
  [2206 /* regtype */, 25],
]);
function known(result) {
  for (const one of [result].flat()) {
    for (const field of one?.fields ?? []) field.dataTypeID = KNOWN_AS.get(field.dataTypeID) ?? field.dataTypeID;
  }
  return result;
}

class CatalogueClient extends pg.Client {
  query(...args) {
    const callback = args.at(-1);
    if (typeof callback === "function") {
      args[args.length - 1] = (error, result) => callback(error, result && known(result));
      return super.query(...args);
    }
    const pending = super.query(...args);
    return typeof pending?.then === "function" ? pending.then(known) : pending;
  }
}

/** PostgreSQL 18 lists NOT NULL constraints too, and the describer insists on their type being one character. */
function withCharacters(adapter) {
  const query = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (...args) => {
    const result = await query(...args);
    const at = result.columnNames.indexOf("constraint_type");
    if (at >= 0) result.columnTypes[at] = ColumnTypeEnum.Character;
    return result;
  };
  return adapter;
}

/** Hands the engine an empty database for the shadow: the stock factory drops it before its pool is closed. */
class ShadowFactory extends PrismaPg {
  constructor(config) {
    super({ ...config, Client: CatalogueClient, max: 2 });
    this.settings = config;
  }

  async connectToShadowDb() {
    const database = `shadow_${process.pid}`;
    const admin = new pg.Client(this.settings);
    await admin.connect();
    await admin.query(`CREATE DATABASE ${database}`);
    const factory = new PrismaPg({ ...this.settings, Client: CatalogueClient, max: 2, database });
    const adapter = withCharacters(await factory.connect());
    const dispose = adapter.dispose.bind(adapter);
    adapter.dispose = async () => {
      await dispose();
      await admin.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
      await admin.end();
    };
    return adapter;
  }
}

async function history() {
  const names = existsSync(migrations)
    ? (await readdir(migrations, { withFileTypes: true })).filter((e) => e.isDirectory()).map((e) => e.name)
    : [];
  const migrationDirectories = await Promise.all(
    names.toSorted().map(async (directory) => ({
      path: directory,
      migrationFile: {
        path: "migration.sql",
        content: { tag: "ok", value: await readFile(path.join(migrations, directory, "migration.sql"), "utf8") },
      },
    })),
  );
  return {
    baseDir: migrations,
    lockfile: { path: "migration_lock.toml", content: LOCK },
    shadowDbInitScript: "",
    migrationDirectories,
  };
}

async function difference(config) {
  const engine = await schemaEngine(config);
  const files = [{ path: schema, content: await readFile(schema, "utf8") }];
  const { stdout } = await engine.diff({
    from: { tag: "migrations", ...(await history()) },
    to: { tag: "schemaDatamodel", files },
    script: true,
    exitCode: true,
    shadowDatabaseUrl: null,
    filters: { externalTables: [], externalEnums: [] },
  });
  return /^\s*(--[^\n]*\s*)*$/.test(stdout) ? undefined : stdout;
}

const scratch = await mkdtemp(path.join(os.tmpdir(), "sallyport-migration-"));
const server = await EmbeddedPostgres.start(scratch, createLog("error"));
let failed = false;
try {
  const sql = await difference(server.connection);
  if (sql === undefined) {
    console.log("prisma/migrations leads to prisma/schema.prisma");
  } else if (name === "--check") {
    console.error(
      `prisma/schema.prisma has changes that no migration makes; run: node prisma/make-migration.mjs NAME\n${sql}`,
    );
    failed = true;
  } else {
    const stamp = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
    const target = path.join(migrations, `${stamp}_${name}`);
    await mkdir(target, { recursive: true });
    await writeFile(path.join(target, "migration.sql"), sql);
    await writeFile(path.join(migrations, "migration_lock.toml"), LOCK);
    console.log(path.relative(path.dirname(folder), target));
  }
} finally {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
