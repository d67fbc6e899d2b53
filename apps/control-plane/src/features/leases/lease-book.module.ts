import { Module } from "@nestjs/common";
import { EventsModule } from "../events/events.module.js";
import { LeaseStore, PrismaLeaseStore } from "./lease.store.js";
import { LeaseBook } from "./lease-book.service.js";

/** Apart from the API of leases, which knows tunnels: tunnels' states write the book. */
@Module({
  imports: [EventsModule],
  providers: [LeaseBook, { provide: LeaseStore, useClass: PrismaLeaseStore }],
  exports: [LeaseBook, LeaseStore],
})
export class LeaseBookModule {}
