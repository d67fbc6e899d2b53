-- CreateIndex
CREATE INDEX "child_sas_organization_id_inbound_spi_idx" ON "child_sas"("organization_id", "inbound_spi");

-- DropIndex
DROP INDEX "child_sas_inbound_spi_idx";

-- DropIndex
DROP INDEX "child_sas_organization_id_idx";
