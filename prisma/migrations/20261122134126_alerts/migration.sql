-- CreateEnum
CREATE TYPE "alert_kind" AS ENUM ('TUNNEL_DOWN', 'TUNNEL_FLAPPING', 'PACKETS_DROPPED', 'CERTIFICATE_EXPIRING', 'REVISION_REFUSED', 'GATEWAY_OFFLINE', 'POOL_NEARLY_FULL');

-- CreateEnum
CREATE TYPE "alert_state" AS ENUM ('PENDING', 'FIRING', 'RESOLVED');

-- CreateTable
CREATE TABLE "alert_rules" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "kind" "alert_kind" NOT NULL,
    "severity" "severity" NOT NULL,
    "for_seconds" INTEGER NOT NULL,
    "threshold" INTEGER,
    "silenced_until" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "alert_rules_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "alerts" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "rule_id" UUID NOT NULL,
    "state" "alert_state" NOT NULL,
    "subject_id" UUID NOT NULL,
    "subject" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,
    "fired_at" TIMESTAMPTZ(3),
    "resolved_at" TIMESTAMPTZ(3),
    "acknowledged_at" TIMESTAMPTZ(3),
    "acknowledged_by" TEXT,
    "silenced_until" TIMESTAMPTZ(3),
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "open" BOOLEAN DEFAULT true,

    CONSTRAINT "alerts_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "alert_rules_organization_id_id_idx" ON "alert_rules"("organization_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "alert_rules_organization_id_name_key" ON "alert_rules"("organization_id", "name");

-- CreateIndex
CREATE INDEX "alerts_organization_id_id_idx" ON "alerts"("organization_id", "id");

-- CreateIndex
CREATE INDEX "alerts_organization_id_updated_at_idx" ON "alerts"("organization_id", "updated_at");

-- CreateIndex
CREATE UNIQUE INDEX "alerts_rule_id_subject_id_open_key" ON "alerts"("rule_id", "subject_id", "open");

-- AddForeignKey
ALTER TABLE "alert_rules" ADD CONSTRAINT "alert_rules_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "alerts" ADD CONSTRAINT "alerts_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "alerts" ADD CONSTRAINT "alerts_rule_id_fkey" FOREIGN KEY ("rule_id") REFERENCES "alert_rules"("id") ON DELETE CASCADE ON UPDATE CASCADE;
