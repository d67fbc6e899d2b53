-- CreateEnum
CREATE TYPE "remote_access_method" AS ENUM ('CERTIFICATE', 'EAP_TLS', 'EAP_MSCHAPV2');

-- CreateTable
CREATE TABLE "remote_access" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "methods" "remote_access_method"[],
    "shares" INTEGER NOT NULL,
    "networks" TEXT[],
    "dns" TEXT[],
    "split_dns" TEXT[],
    "ike_proposals" TEXT[],
    "esp_proposals" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "remote_access_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "remote_access_gateways" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "remote_access_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "share" INTEGER NOT NULL,
    "withdrawn_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "remote_access_gateways_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "remote_access_pools" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "remote_access_id" UUID NOT NULL,
    "pool_id" UUID NOT NULL,
    "preference" INTEGER NOT NULL,

    CONSTRAINT "remote_access_pools_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "remote_access_rules" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "remote_access_id" UUID NOT NULL,
    "group_id" UUID,
    "road_warrior_id" UUID,
    "preference" INTEGER NOT NULL DEFAULT 0,
    "own_networks" BOOLEAN NOT NULL DEFAULT false,
    "networks" TEXT[],
    "own_dns" BOOLEAN NOT NULL DEFAULT false,
    "dns" TEXT[],
    "own_split_dns" BOOLEAN NOT NULL DEFAULT false,
    "split_dns" TEXT[],

    CONSTRAINT "remote_access_rules_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "remote_access_organization_id_id_idx" ON "remote_access"("organization_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "remote_access_organization_id_name_key" ON "remote_access"("organization_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "remote_access_gateways_gateway_id_key" ON "remote_access_gateways"("gateway_id");

-- CreateIndex
CREATE INDEX "remote_access_gateways_organization_id_idx" ON "remote_access_gateways"("organization_id");

-- CreateIndex
CREATE UNIQUE INDEX "remote_access_gateways_remote_access_id_share_key" ON "remote_access_gateways"("remote_access_id", "share");

-- CreateIndex
CREATE UNIQUE INDEX "remote_access_pools_pool_id_key" ON "remote_access_pools"("pool_id");

-- CreateIndex
CREATE INDEX "remote_access_pools_organization_id_idx" ON "remote_access_pools"("organization_id");

-- CreateIndex
CREATE INDEX "remote_access_pools_remote_access_id_idx" ON "remote_access_pools"("remote_access_id");

-- CreateIndex
CREATE INDEX "remote_access_rules_organization_id_idx" ON "remote_access_rules"("organization_id");

-- CreateIndex
CREATE INDEX "remote_access_rules_group_id_idx" ON "remote_access_rules"("group_id");

-- CreateIndex
CREATE INDEX "remote_access_rules_road_warrior_id_idx" ON "remote_access_rules"("road_warrior_id");

-- CreateIndex
CREATE UNIQUE INDEX "remote_access_rules_remote_access_id_group_id_key" ON "remote_access_rules"("remote_access_id", "group_id");

-- CreateIndex
CREATE UNIQUE INDEX "remote_access_rules_remote_access_id_road_warrior_id_key" ON "remote_access_rules"("remote_access_id", "road_warrior_id");

-- AddForeignKey
ALTER TABLE "remote_access" ADD CONSTRAINT "remote_access_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_gateways" ADD CONSTRAINT "remote_access_gateways_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_gateways" ADD CONSTRAINT "remote_access_gateways_remote_access_id_fkey" FOREIGN KEY ("remote_access_id") REFERENCES "remote_access"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_gateways" ADD CONSTRAINT "remote_access_gateways_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_pools" ADD CONSTRAINT "remote_access_pools_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_pools" ADD CONSTRAINT "remote_access_pools_remote_access_id_fkey" FOREIGN KEY ("remote_access_id") REFERENCES "remote_access"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_pools" ADD CONSTRAINT "remote_access_pools_pool_id_fkey" FOREIGN KEY ("pool_id") REFERENCES "address_pools"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_rules" ADD CONSTRAINT "remote_access_rules_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_rules" ADD CONSTRAINT "remote_access_rules_remote_access_id_fkey" FOREIGN KEY ("remote_access_id") REFERENCES "remote_access"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_rules" ADD CONSTRAINT "remote_access_rules_group_id_fkey" FOREIGN KEY ("group_id") REFERENCES "road_warrior_groups"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "remote_access_rules" ADD CONSTRAINT "remote_access_rules_road_warrior_id_fkey" FOREIGN KEY ("road_warrior_id") REFERENCES "road_warriors"("id") ON DELETE CASCADE ON UPDATE CASCADE;
