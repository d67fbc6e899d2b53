import { Module } from "@nestjs/common";
import { RetentionService } from "./retention.service.js";
import { PrismaRetentionStore, RetentionStore } from "./retention.store.js";

@Module({
  providers: [RetentionService, { provide: RetentionStore, useClass: PrismaRetentionStore }],
})
export class RetentionModule {}
