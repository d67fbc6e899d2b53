import { Module } from "@nestjs/common";
import { EventsModule } from "../events/events.module.js";
import { RolloutStarter } from "./rollout-starter.js";

/** What compilations need to know of rollouts, which need to know of revisions. */
@Module({ imports: [EventsModule], providers: [RolloutStarter], exports: [RolloutStarter] })
export class RolloutStartModule {}
