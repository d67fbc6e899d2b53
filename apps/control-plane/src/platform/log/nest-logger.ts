import type { LoggerService } from "@nestjs/common";
import type { Log } from "./log.js";

/** Nest's own lines: what it says while starting is of interest to its developers only. */
export class NestLogger implements LoggerService {
  constructor(private readonly target: Log) {}

  log(message: unknown): void {
    this.target.debug(String(message));
  }

  error(message: unknown, ...more: unknown[]): void {
    this.target.error({ more: more.map(String) }, message instanceof Error ? message.message : String(message));
  }

  warn(message: unknown): void {
    this.target.warn(String(message));
  }
}
