import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { RoadWarriorsModule } from "../road-warriors/road-warriors.module.js";
import { AddressPoolResolver, RoadWarriorLeaseResolver, StaticLeaseResolver } from "./address-pool.resolver.js";
import { AddressPoolService } from "./address-pool.service.js";
import { AddressPoolStore, PrismaAddressPoolStore } from "./address-pool.store.js";
import { StaticLeaseService } from "./static-lease.service.js";

@Module({
  imports: [AuditModule, IntentsModule, RoadWarriorsModule],
  providers: [
    AddressPoolService,
    StaticLeaseService,
    AddressPoolResolver,
    StaticLeaseResolver,
    RoadWarriorLeaseResolver,
    { provide: AddressPoolStore, useClass: PrismaAddressPoolStore },
  ],
  exports: [AddressPoolService],
})
export class AddressPoolsModule {}
