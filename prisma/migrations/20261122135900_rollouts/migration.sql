-- CreateEnum
CREATE TYPE "rollout_mode" AS ENUM ('IMMEDIATE', 'STAGED');

-- CreateEnum
CREATE TYPE "rollout_state" AS ENUM ('RUNNING', 'PAUSED', 'DONE', 'ROLLED_BACK', 'SUPERSEDED');

-- CreateEnum
CREATE TYPE "rollout_item_state" AS ENUM ('PENDING', 'PUSHED', 'DONE', 'ROLLED_BACK', 'WITHDRAWN', 'SUPERSEDED');

-- AlterEnum
-- This migration adds more than one value to an enum.
-- With PostgreSQL versions 11 and earlier, this is not possible
-- in a single migration. This can be worked around by creating
-- multiple migrations, each migration adding only one value to
-- the enum.


ALTER TYPE "revision_status" ADD VALUE 'HELD';
ALTER TYPE "revision_status" ADD VALUE 'WITHDRAWN';

-- AlterTable
ALTER TABLE "intent_revisions" ADD COLUMN     "restores" INTEGER;

-- CreateTable
CREATE TABLE "rollout_policies" (
    "organization_id" UUID NOT NULL,
    "mode" "rollout_mode" NOT NULL,
    "canary" INTEGER NOT NULL,
    "canary_gateway_ids" UUID[],
    "batch_percent" INTEGER NOT NULL,
    "pause_seconds" INTEGER NOT NULL,
    "ack_seconds" INTEGER NOT NULL,
    "gate_seconds" INTEGER NOT NULL,

    CONSTRAINT "rollout_policies_pkey" PRIMARY KEY ("organization_id")
);

-- CreateTable
CREATE TABLE "rollouts" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "state" "rollout_state" NOT NULL DEFAULT 'RUNNING',
    "canary" INTEGER NOT NULL,
    "canary_gateway_ids" UUID[],
    "batch_percent" INTEGER NOT NULL,
    "pause_seconds" INTEGER NOT NULL,
    "ack_seconds" INTEGER NOT NULL,
    "gate_seconds" INTEGER NOT NULL,
    "stage" INTEGER NOT NULL DEFAULT 0,
    "pushed_at" TIMESTAMPTZ(3),
    "acked_at" TIMESTAMPTZ(3),
    "next_at" TIMESTAMPTZ(3),
    "watched" JSONB NOT NULL DEFAULT '{}',
    "failure_code" TEXT,
    "failure" TEXT,
    "failed_gateway_id" UUID,
    "failed_tunnel_id" UUID,
    "tick" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "rollouts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rollout_items" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "rollout_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "revision" INTEGER NOT NULL,
    "position" INTEGER NOT NULL,
    "coupling" TEXT NOT NULL,
    "state" "rollout_item_state" NOT NULL DEFAULT 'PENDING',
    "stage" INTEGER,
    "former" INTEGER,
    "restored" INTEGER,
    "waiting_for" TEXT,

    CONSTRAINT "rollout_items_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "rollouts_organization_id_id_idx" ON "rollouts"("organization_id", "id");

-- CreateIndex
CREATE INDEX "rollouts_organization_id_state_id_idx" ON "rollouts"("organization_id", "state", "id");

-- CreateIndex
CREATE INDEX "rollout_items_organization_id_rollout_id_id_idx" ON "rollout_items"("organization_id", "rollout_id", "id");

-- CreateIndex
CREATE INDEX "rollout_items_gateway_id_idx" ON "rollout_items"("gateway_id");

-- CreateIndex
CREATE UNIQUE INDEX "rollout_items_rollout_id_gateway_id_key" ON "rollout_items"("rollout_id", "gateway_id");

-- AddForeignKey
ALTER TABLE "rollout_policies" ADD CONSTRAINT "rollout_policies_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rollouts" ADD CONSTRAINT "rollouts_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rollout_items" ADD CONSTRAINT "rollout_items_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rollout_items" ADD CONSTRAINT "rollout_items_rollout_id_fkey" FOREIGN KEY ("rollout_id") REFERENCES "rollouts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rollout_items" ADD CONSTRAINT "rollout_items_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;
