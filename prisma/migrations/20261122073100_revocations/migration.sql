-- CreateEnum
CREATE TYPE "RevocationSubject" AS ENUM ('CERTIFICATE', 'PERSON');

-- AlterTable
ALTER TABLE "organizations" ADD COLUMN     "last_revocation" INTEGER NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "revocations" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "kind" "RevocationSubject" NOT NULL,
    "subject_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "lifted" BOOLEAN NOT NULL DEFAULT false,
    "not_after" TIMESTAMPTZ(3),
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "revocations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "revocation_tellings" (
    "revocation_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "confirmed_at" TIMESTAMPTZ(3),
    "ended_sas" INTEGER,

    CONSTRAINT "revocation_tellings_pkey" PRIMARY KEY ("revocation_id","gateway_id")
);

-- CreateIndex
CREATE INDEX "revocations_organization_id_kind_key_number_idx" ON "revocations"("organization_id", "kind", "key", "number");

-- CreateIndex
CREATE INDEX "revocations_organization_id_subject_id_number_idx" ON "revocations"("organization_id", "subject_id", "number");

-- CreateIndex
CREATE UNIQUE INDEX "revocations_organization_id_number_key" ON "revocations"("organization_id", "number");

-- CreateIndex
CREATE INDEX "revocation_tellings_gateway_id_confirmed_at_number_idx" ON "revocation_tellings"("gateway_id", "confirmed_at", "number");

-- CreateIndex
CREATE INDEX "revocation_tellings_organization_id_revocation_id_idx" ON "revocation_tellings"("organization_id", "revocation_id");

-- AddForeignKey
ALTER TABLE "revocations" ADD CONSTRAINT "revocations_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "revocation_tellings" ADD CONSTRAINT "revocation_tellings_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "revocation_tellings" ADD CONSTRAINT "revocation_tellings_revocation_id_fkey" FOREIGN KEY ("revocation_id") REFERENCES "revocations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "revocation_tellings" ADD CONSTRAINT "revocation_tellings_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;
