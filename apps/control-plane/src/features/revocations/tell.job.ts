import { Injectable, type OnModuleInit } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { TELL_REVOCATIONS, type TellRevocations } from "./jobs.js";

/** Wakes every replica that holds streams of the organization. A stream that is opened later is told by itself. */
@Injectable()
export class TellJob implements JobRunner<TellRevocations>, OnModuleInit {
  readonly type = TELL_REVOCATIONS;

  constructor(
    private readonly bus: WakeUpBus,
    private readonly jobs: Jobs,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  run({ number }: TellRevocations, { organizationId }: JobContext): Promise<void> {
    return this.bus.publish("revocation", { organizationId, number });
  }
}
