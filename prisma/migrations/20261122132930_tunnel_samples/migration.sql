-- CreateTable
CREATE TABLE "tunnel_samples" (
    "step" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "tunnel_end_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "bytes_in" BIGINT NOT NULL DEFAULT 0,
    "bytes_out" BIGINT NOT NULL DEFAULT 0,
    "packets_in" BIGINT NOT NULL DEFAULT 0,
    "packets_out" BIGINT NOT NULL DEFAULT 0,
    "errors_in" BIGINT NOT NULL DEFAULT 0,
    "covered" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "counted_at" TIMESTAMPTZ(3),
    "known" SMALLINT NOT NULL DEFAULT 0,
    "up" SMALLINT NOT NULL DEFAULT 0,
    "degraded" SMALLINT NOT NULL DEFAULT 0,
    "drops" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "tunnel_samples_pkey" PRIMARY KEY ("step","at","tunnel_end_id")
)
-- Of each step, parts by time: features/history makes them ahead and drops them.
PARTITION BY RANGE ("step", "at");

-- Who flaps: few samples have drops.
CREATE INDEX "tunnel_samples_drops_idx" ON "tunnel_samples"("organization_id", "step", "at") WHERE "drops" > 0;
