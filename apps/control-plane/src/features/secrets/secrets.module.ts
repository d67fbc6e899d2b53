import { Module } from "@nestjs/common";
import { SecretService } from "./secret.service.js";
import { PrismaSecretStore, SecretStore } from "./secret.store.js";

@Module({
  providers: [SecretService, { provide: SecretStore, useClass: PrismaSecretStore }],
  exports: [SecretService],
})
export class SecretsModule {}
