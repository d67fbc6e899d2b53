import { Module } from "@nestjs/common";
import { EventResolver } from "./event.resolver.js";
import { EventService } from "./event.service.js";
import { EventStore, PrismaEventStore } from "./event.store.js";

@Module({
  providers: [EventService, EventResolver, { provide: EventStore, useClass: PrismaEventStore }],
  exports: [EventService],
})
export class EventsModule {}
