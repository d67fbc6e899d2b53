import { Module } from "@nestjs/common";
import { EventsModule } from "../events/events.module.js";
import { Confirmations } from "./confirmations.js";
import { RevocationService } from "./revocation.service.js";
import { PrismaRevocationStore, RevocationStore } from "./revocation.store.js";
import { RevocationRegister } from "./revocation-register.js";
import { TellJob } from "./tell.job.js";

/** The register itself, which every feature that revokes somebody writes to. */
@Module({
  imports: [EventsModule],
  providers: [
    Confirmations,
    RevocationRegister,
    RevocationService,
    TellJob,
    { provide: RevocationStore, useClass: PrismaRevocationStore },
  ],
  exports: [Confirmations, RevocationRegister, RevocationService],
})
export class RevocationRegisterModule {}
