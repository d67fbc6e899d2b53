import { Module } from "@nestjs/common";
import { RotationsModule } from "../rotations/rotations.module.js";
import { MasterKeyService } from "./master-key.service.js";
import { ResealingModule } from "./resealing.module.js";

@Module({ imports: [ResealingModule, RotationsModule], providers: [MasterKeyService] })
export class MasterKeyModule {}
