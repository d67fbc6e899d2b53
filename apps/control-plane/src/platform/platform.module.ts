import { type DynamicModule, Global, Module } from "@nestjs/common";
import type { PoolConfig } from "pg";
import { WakeUpBus } from "./bus/bus.js";
import { PostgresBus } from "./bus/postgres-bus.js";
import { RedisBus } from "./bus/redis-bus.js";
import { CONFIG, type Config } from "./config/config.js";
import { Changes } from "./database/changes.js";
import { Database } from "./database/database.js";
import { PrismaDatabase } from "./database/prisma-database.js";
import { HealthController } from "./health/health.controller.js";
import { Readiness } from "./health/readiness.js";
import { Lifecycle } from "./lifecycle.js";
import { LOG, type Log } from "./log/log.js";
import { Jobs } from "./outbox/jobs.js";
import { Outbox } from "./outbox/outbox.js";
import { Relay } from "./outbox/relay.js";
import { PublicUrl } from "./public-url.js";
import { BullQueue } from "./queue/bull-queue.js";
import { JobQueue } from "./queue/job-queue.js";
import { connectRedis } from "./queue/redis.js";
import { Vault } from "./vault/vault.js";

/** What the process has before Nest starts. */
export interface Resources {
  readonly config: Config;
  readonly log: Log;
  readonly vault: Vault;
  readonly connection: PoolConfig;
}

/** What every feature builds on. Jobs and wake-ups go through Redis when there is one, else through PostgreSQL. */
@Global()
@Module({})
export class PlatformModule {
  static register({ config, log, vault, connection }: Resources): DynamicModule {
    const { redisUrl } = config;
    const bus =
      redisUrl === undefined ? new PostgresBus(connection, log) : new RedisBus(() => connectRedis(redisUrl), log);
    const queue = new BullQueue(
      redisUrl === undefined ? { kind: "postgres", connection } : { kind: "redis", url: redisUrl },
      log,
    );
    const exported = [
      { provide: CONFIG, useValue: config },
      { provide: LOG, useValue: log },
      { provide: Vault, useValue: vault },
      { provide: Database, useValue: new PrismaDatabase(connection, log) },
      { provide: WakeUpBus, useValue: bus },
      { provide: JobQueue, useValue: queue },
      Outbox,
      Jobs,
      Relay,
      Changes,
      Readiness,
      PublicUrl,
    ];
    return {
      module: PlatformModule,
      controllers: [HealthController],
      providers: [...exported, Lifecycle],
      exports: exported,
    };
  }
}
