-- CreateTable
CREATE TABLE "handovers" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "road_warrior_id" UUID NOT NULL,
    "remote_access_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "certificate_id" UUID,
    "secret_hash" BYTEA NOT NULL,
    "devices" TEXT[],
    "sealed" BYTEA,
    "key_id" TEXT,
    "created_by" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "collected_at" TIMESTAMPTZ(3),
    "withdrawn_at" TIMESTAMPTZ(3),
    "expired_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "handovers_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "handover_profiles" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "handover_id" UUID NOT NULL,
    "road_warrior_id" UUID NOT NULL,
    "remote_access_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "device" TEXT NOT NULL,
    "authentication" TEXT NOT NULL,
    "gateway_print" TEXT NOT NULL,
    "authority_print" TEXT NOT NULL,
    "proposal_print" TEXT NOT NULL,
    "files" BYTEA,
    "files_until" TIMESTAMPTZ(3),
    "superseded_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "handover_profiles_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "handovers_certificate_id_key" ON "handovers"("certificate_id");

-- CreateIndex
CREATE INDEX "handovers_organization_id_id_idx" ON "handovers"("organization_id", "id");

-- CreateIndex
CREATE INDEX "handovers_road_warrior_id_idx" ON "handovers"("road_warrior_id");

-- CreateIndex
CREATE INDEX "handovers_remote_access_id_idx" ON "handovers"("remote_access_id");

-- CreateIndex
CREATE INDEX "handovers_gateway_id_idx" ON "handovers"("gateway_id");

-- CreateIndex
CREATE INDEX "handovers_expires_at_idx" ON "handovers"("expires_at");

-- CreateIndex
CREATE INDEX "handovers_key_id_idx" ON "handovers"("key_id");

-- CreateIndex
CREATE INDEX "handover_profiles_organization_id_superseded_at_id_idx" ON "handover_profiles"("organization_id", "superseded_at", "id");

-- CreateIndex
CREATE INDEX "handover_profiles_handover_id_idx" ON "handover_profiles"("handover_id");

-- CreateIndex
CREATE INDEX "handover_profiles_road_warrior_id_idx" ON "handover_profiles"("road_warrior_id");

-- CreateIndex
CREATE INDEX "handover_profiles_remote_access_id_gateway_id_idx" ON "handover_profiles"("remote_access_id", "gateway_id");

-- CreateIndex
CREATE INDEX "handover_profiles_gateway_id_idx" ON "handover_profiles"("gateway_id");

-- CreateIndex
CREATE INDEX "handover_profiles_files_until_idx" ON "handover_profiles"("files_until");

-- AddForeignKey
ALTER TABLE "handovers" ADD CONSTRAINT "handovers_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handovers" ADD CONSTRAINT "handovers_road_warrior_id_fkey" FOREIGN KEY ("road_warrior_id") REFERENCES "road_warriors"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handovers" ADD CONSTRAINT "handovers_remote_access_id_fkey" FOREIGN KEY ("remote_access_id") REFERENCES "remote_access"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handovers" ADD CONSTRAINT "handovers_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handovers" ADD CONSTRAINT "handovers_certificate_id_fkey" FOREIGN KEY ("certificate_id") REFERENCES "certificates"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handover_profiles" ADD CONSTRAINT "handover_profiles_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handover_profiles" ADD CONSTRAINT "handover_profiles_handover_id_fkey" FOREIGN KEY ("handover_id") REFERENCES "handovers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handover_profiles" ADD CONSTRAINT "handover_profiles_road_warrior_id_fkey" FOREIGN KEY ("road_warrior_id") REFERENCES "road_warriors"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handover_profiles" ADD CONSTRAINT "handover_profiles_remote_access_id_fkey" FOREIGN KEY ("remote_access_id") REFERENCES "remote_access"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handover_profiles" ADD CONSTRAINT "handover_profiles_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;
