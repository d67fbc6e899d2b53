import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { EventResolver } from "./event.resolver.js";
import { EventService } from "./event.service.js";
import { EventStore, PrismaEventStore } from "./event.store.js";

@Module({
  imports: [AuditModule],
  providers: [EventService, EventResolver, { provide: EventStore, useClass: PrismaEventStore }],
  exports: [EventService],
})
export class EventsModule {}
