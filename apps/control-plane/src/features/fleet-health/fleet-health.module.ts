import { Module } from "@nestjs/common";
import { TunnelsModule } from "../tunnels/tunnels.module.js";
import { FleetHealthResolver } from "./fleet-health.resolver.js";
import { FleetHealthService } from "./fleet-health.service.js";
import { FleetHealthStore, PrismaFleetHealthStore } from "./fleet-health.store.js";

@Module({
  imports: [TunnelsModule],
  providers: [FleetHealthService, FleetHealthResolver, { provide: FleetHealthStore, useClass: PrismaFleetHealthStore }],
})
export class FleetHealthModule {}
