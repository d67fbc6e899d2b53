-- AlterEnum
ALTER TYPE "network_authentication" ADD VALUE 'PUBLIC_CERTIFICATE';

-- AlterTable
ALTER TABLE "acme_orders" ADD COLUMN     "retire_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "acme_orders_retire_at_idx" ON "acme_orders"("retire_at");
