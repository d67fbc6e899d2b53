import { Module } from "@nestjs/common";
import { SiteWindows } from "./site-windows.js";

@Module({ providers: [SiteWindows], exports: [SiteWindows] })
export class MaintenanceModule {}
