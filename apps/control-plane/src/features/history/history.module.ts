import { Module } from "@nestjs/common";
import { TunnelsModule } from "../tunnels/tunnels.module.js";
import { TunnelEndHistoryResolver, TunnelHistoryEndsResolver, TunnelHistoryResolver } from "./history.resolver.js";
import { HistoryService } from "./history.service.js";
import { HistoryStore, PrismaHistoryStore } from "./history.store.js";
import { HistoryKeeper } from "./history-keeper.js";
import { PrismaRollupStore, RollupStore } from "./rollup.store.js";

@Module({
  imports: [TunnelsModule],
  providers: [
    HistoryService,
    HistoryKeeper,
    TunnelHistoryResolver,
    TunnelHistoryEndsResolver,
    TunnelEndHistoryResolver,
    { provide: HistoryStore, useClass: PrismaHistoryStore },
    { provide: RollupStore, useClass: PrismaRollupStore },
  ],
})
export class HistoryModule {}
