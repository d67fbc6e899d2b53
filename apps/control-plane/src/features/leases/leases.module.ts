import { Module } from "@nestjs/common";
import { AddressPoolsModule } from "../address-pools/address-pools.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { RoadWarriorsModule } from "../road-warriors/road-warriors.module.js";
import { AddressPoolUseResolver, LeaseResolver, StaticLeaseHolderResolver } from "./lease.resolver.js";
import { LeaseService } from "./lease.service.js";
import { LeaseBookModule } from "./lease-book.module.js";

@Module({
  imports: [AddressPoolsModule, GatewaysModule, LeaseBookModule, RoadWarriorsModule],
  providers: [LeaseService, LeaseResolver, StaticLeaseHolderResolver, AddressPoolUseResolver],
})
export class LeasesModule {}
