-- AlterEnum

ALTER TYPE "rotation_kind" ADD VALUE 'GATEWAY_CERTIFICATE';
ALTER TYPE "rotation_kind" ADD VALUE 'AGENT_CERTIFICATE';
ALTER TYPE "rotation_kind" ADD VALUE 'MASTER_KEY';
ALTER TYPE "rotation_kind" ADD VALUE 'ISSUING_AUTHORITY';
ALTER TYPE "rotation_kind" ADD VALUE 'ROOT_AUTHORITY';

-- AlterTable
ALTER TABLE "agent_sessions" ADD COLUMN     "fingerprint" TEXT;

-- AlterTable
ALTER TABLE "certificate_authorities" ADD COLUMN     "cross_certificate" BYTEA,
ADD COLUMN     "distrusted_at" TIMESTAMPTZ(3),
ADD COLUMN     "standby" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "certificates" ADD COLUMN     "standby" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "rotations" ADD COLUMN     "part_of_id" UUID;

-- CreateIndex
CREATE INDEX "rotations_part_of_id_idx" ON "rotations"("part_of_id");

-- AddForeignKey
ALTER TABLE "rotations" ADD CONSTRAINT "rotations_part_of_id_fkey" FOREIGN KEY ("part_of_id") REFERENCES "rotation_items"("id") ON DELETE SET NULL ON UPDATE CASCADE;
