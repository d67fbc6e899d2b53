-- CreateEnum
CREATE TYPE "dns_zone_method" AS ENUM ('RFC_2136', 'PROGRAM');

-- AlterEnum
ALTER TYPE "acme_challenge" ADD VALUE 'DNS_01';

-- AlterTable
ALTER TABLE "acme_certificates" ADD COLUMN     "announce_hours" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "window_days" INTEGER[],
ADD COLUMN     "window_from" INTEGER,
ADD COLUMN     "window_minutes" INTEGER,
ADD COLUMN     "window_zone" TEXT;

-- AlterTable
ALTER TABLE "acme_orders" ADD COLUMN     "show_at" TIMESTAMPTZ(3),
ADD COLUMN     "shown_at" TIMESTAMPTZ(3);

-- What was issued so far is shown.
UPDATE "acme_orders" SET "shown_at" = "finished_at" WHERE "state" = 'ISSUED';

-- CreateTable
CREATE TABLE "dns_zones" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "method" "dns_zone_method" NOT NULL,
    "name_servers" TEXT[],
    "server" TEXT,
    "key_name" TEXT,
    "algorithm" TEXT,
    "sealed" BYTEA,
    "key_id" TEXT,
    "program" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "dns_zones_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "dns_records" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "zone_id" UUID NOT NULL,
    "order_id" UUID,
    "name" TEXT NOT NULL,
    "text" TEXT NOT NULL,
    "published_at" TIMESTAMPTZ(3),
    "due_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dns_records_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "dns_zones_organization_id_id_idx" ON "dns_zones"("organization_id", "id");

-- CreateIndex
CREATE INDEX "dns_zones_key_id_idx" ON "dns_zones"("key_id");

-- CreateIndex
CREATE UNIQUE INDEX "dns_zones_organization_id_name_key" ON "dns_zones"("organization_id", "name");

-- CreateIndex
CREATE INDEX "dns_records_organization_id_id_idx" ON "dns_records"("organization_id", "id");

-- CreateIndex
CREATE INDEX "dns_records_order_id_idx" ON "dns_records"("order_id");

-- CreateIndex
CREATE INDEX "dns_records_due_at_idx" ON "dns_records"("due_at");

-- CreateIndex
CREATE UNIQUE INDEX "dns_records_zone_id_name_text_key" ON "dns_records"("zone_id", "name", "text");

-- CreateIndex
CREATE INDEX "acme_orders_show_at_idx" ON "acme_orders"("show_at");

-- AddForeignKey
ALTER TABLE "dns_zones" ADD CONSTRAINT "dns_zones_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "dns_records" ADD CONSTRAINT "dns_records_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "dns_records" ADD CONSTRAINT "dns_records_zone_id_fkey" FOREIGN KEY ("zone_id") REFERENCES "dns_zones"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "dns_records" ADD CONSTRAINT "dns_records_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "acme_orders"("id") ON DELETE SET NULL ON UPDATE CASCADE;
