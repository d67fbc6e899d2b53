-- AlterTable
ALTER TABLE "certificates" ADD COLUMN     "seen" BOOLEAN NOT NULL DEFAULT false;

-- CreateTable
CREATE TABLE "certificate_sightings" (
    "organization_id" UUID NOT NULL,
    "certificate_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "connection" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "certificate_sightings_pkey" PRIMARY KEY ("certificate_id","gateway_id","connection")
);

-- CreateIndex
CREATE INDEX "certificate_sightings_gateway_id_connection_idx" ON "certificate_sightings"("gateway_id", "connection");

-- CreateIndex
CREATE INDEX "certificates_organization_id_seen_not_after_idx" ON "certificates"("organization_id", "seen", "not_after");

-- AddForeignKey
ALTER TABLE "certificate_sightings" ADD CONSTRAINT "certificate_sightings_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificate_sightings" ADD CONSTRAINT "certificate_sightings_certificate_id_fkey" FOREIGN KEY ("certificate_id") REFERENCES "certificates"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificate_sightings" ADD CONSTRAINT "certificate_sightings_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;
