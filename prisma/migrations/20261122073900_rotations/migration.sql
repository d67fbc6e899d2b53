-- CreateEnum
CREATE TYPE "network_authentication" AS ENUM ('CERTIFICATE', 'PRE_SHARED_KEY');

-- CreateEnum
CREATE TYPE "rotation_kind" AS ENUM ('PRE_SHARED_KEY');

-- CreateEnum
CREATE TYPE "rotation_state" AS ENUM ('RUNNING', 'PAUSED', 'ABORTING', 'DONE', 'ABORTED', 'FAILED');

-- CreateEnum
CREATE TYPE "rotation_item_state" AS ENUM ('PENDING', 'RUNNING', 'DONE', 'ROLLED_BACK', 'SKIPPED');

-- AlterTable
ALTER TABLE "ike_sas" ADD COLUMN     "key_id" TEXT;

-- AlterTable
ALTER TABLE "networks" ADD COLUMN     "authentication" "network_authentication" NOT NULL DEFAULT 'CERTIFICATE';

-- AlterTable
ALTER TABLE "outbox" ADD COLUMN     "not_before" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "secrets" ADD COLUMN     "beside_id" UUID,
ADD COLUMN     "tunnel_key" TEXT;

-- CreateTable
CREATE TABLE "rotations" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "kind" "rotation_kind" NOT NULL,
    "state" "rotation_state" NOT NULL DEFAULT 'RUNNING',
    "batch" INTEGER NOT NULL,
    "patience" INTEGER NOT NULL,
    "start_at" TIMESTAMPTZ(3),
    "window_days" INTEGER[],
    "window_from" INTEGER,
    "window_minutes" INTEGER,
    "window_zone" TEXT,
    "requested_by" TEXT NOT NULL,
    "failure" TEXT,
    "tick" INTEGER NOT NULL DEFAULT 0,
    "leased_by" UUID,
    "leased_until" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "rotations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rotation_items" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "rotation_id" UUID NOT NULL,
    "position" INTEGER NOT NULL,
    "subject_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "state" "rotation_item_state" NOT NULL DEFAULT 'PENDING',
    "step" TEXT NOT NULL,
    "step_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "performed_at" TIMESTAMPTZ(3),
    "waiting_for" TEXT,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "rotation_items_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rotation_events" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "rotation_id" UUID NOT NULL,
    "item_id" UUID,
    "step" TEXT,
    "what" TEXT NOT NULL,
    "note" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "rotation_events_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "rotations_organization_id_id_idx" ON "rotations"("organization_id", "id");

-- CreateIndex
CREATE INDEX "rotations_organization_id_state_idx" ON "rotations"("organization_id", "state");

-- CreateIndex
CREATE INDEX "rotation_items_organization_id_subject_id_idx" ON "rotation_items"("organization_id", "subject_id");

-- CreateIndex
CREATE UNIQUE INDEX "rotation_items_rotation_id_position_key" ON "rotation_items"("rotation_id", "position");

-- CreateIndex
CREATE INDEX "rotation_events_organization_id_rotation_id_id_idx" ON "rotation_events"("organization_id", "rotation_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "secrets_beside_id_key" ON "secrets"("beside_id");

-- CreateIndex
CREATE UNIQUE INDEX "secrets_organization_id_tunnel_key_key" ON "secrets"("organization_id", "tunnel_key");

-- AddForeignKey
ALTER TABLE "secrets" ADD CONSTRAINT "secrets_beside_id_fkey" FOREIGN KEY ("beside_id") REFERENCES "secrets"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rotations" ADD CONSTRAINT "rotations_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rotation_items" ADD CONSTRAINT "rotation_items_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rotation_items" ADD CONSTRAINT "rotation_items_rotation_id_fkey" FOREIGN KEY ("rotation_id") REFERENCES "rotations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rotation_events" ADD CONSTRAINT "rotation_events_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rotation_events" ADD CONSTRAINT "rotation_events_rotation_id_fkey" FOREIGN KEY ("rotation_id") REFERENCES "rotations"("id") ON DELETE CASCADE ON UPDATE CASCADE;
