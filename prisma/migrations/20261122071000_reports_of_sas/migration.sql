-- AlterTable
ALTER TABLE "gateways" ADD COLUMN     "report_stream" UUID;

-- AlterTable
ALTER TABLE "ike_sas" ADD COLUMN     "local_virtual" TEXT[],
ADD COLUMN     "remote_virtual" TEXT[],
ADD COLUMN     "report_mark" UUID,
ADD COLUMN     "user_name" TEXT;

-- AlterTable
ALTER TABLE "tunnel_ends" ADD COLUMN     "report_mark" UUID;

-- CreateIndex
CREATE INDEX "child_sas_inbound_spi_idx" ON "child_sas"("inbound_spi");
