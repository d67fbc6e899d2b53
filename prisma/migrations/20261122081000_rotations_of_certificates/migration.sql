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

-- CreateTable
CREATE TABLE "rotation_schedules" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "kind" "rotation_kind" NOT NULL,
    "every_days" INTEGER NOT NULL,
    "batch" INTEGER NOT NULL,
    "patience" INTEGER NOT NULL,
    "window_days" INTEGER[],
    "window_from" INTEGER,
    "window_minutes" INTEGER,
    "window_zone" TEXT,
    "requested_by" TEXT NOT NULL,
    "next_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "rotation_schedules_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "rotation_schedules_organization_id_id_idx" ON "rotation_schedules"("organization_id", "id");

-- CreateIndex
CREATE INDEX "rotation_schedules_next_at_idx" ON "rotation_schedules"("next_at");

-- CreateIndex
CREATE INDEX "rotations_part_of_id_idx" ON "rotations"("part_of_id");

-- AddForeignKey
ALTER TABLE "rotations" ADD CONSTRAINT "rotations_part_of_id_fkey" FOREIGN KEY ("part_of_id") REFERENCES "rotation_items"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rotation_schedules" ADD CONSTRAINT "rotation_schedules_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
