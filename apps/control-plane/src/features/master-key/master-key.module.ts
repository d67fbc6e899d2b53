import { Module } from "@nestjs/common";
import { MasterKeyService } from "./master-key.service.js";

@Module({ providers: [MasterKeyService] })
export class MasterKeyModule {}
