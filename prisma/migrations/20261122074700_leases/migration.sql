-- AlterTable
ALTER TABLE "tunnel_ends" ADD COLUMN     "key" TEXT,
ADD COLUMN     "remote_access_gateway_id" UUID,
ALTER COLUMN "tunnel_id" DROP NOT NULL;

-- CreateTable
CREATE TABLE "leases" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "address" INET NOT NULL,
    "identity" TEXT NOT NULL,
    "pool_id" UUID,
    "road_warrior_id" UUID,
    "outer_endpoint" TEXT NOT NULL,
    "began_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),
    "open" BOOLEAN DEFAULT true,

    CONSTRAINT "leases_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "lease_holders" (
    "lease_id" UUID NOT NULL,
    "ike_sa_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,

    CONSTRAINT "lease_holders_pkey" PRIMARY KEY ("lease_id","ike_sa_id")
);

-- CreateIndex
CREATE INDEX "leases_organization_id_id_idx" ON "leases"("organization_id", "id");

-- CreateIndex
CREATE INDEX "leases_organization_id_address_open_idx" ON "leases"("organization_id", "address", "open");

-- CreateIndex
CREATE INDEX "leases_organization_id_ended_at_idx" ON "leases"("organization_id", "ended_at");

-- CreateIndex
CREATE INDEX "leases_gateway_id_id_idx" ON "leases"("gateway_id", "id");

-- CreateIndex
CREATE INDEX "leases_pool_id_open_idx" ON "leases"("pool_id", "open");

-- CreateIndex
CREATE INDEX "leases_road_warrior_id_id_idx" ON "leases"("road_warrior_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "leases_gateway_id_address_identity_open_key" ON "leases"("gateway_id", "address", "identity", "open");

-- CreateIndex
CREATE INDEX "lease_holders_ike_sa_id_idx" ON "lease_holders"("ike_sa_id");

-- CreateIndex
CREATE UNIQUE INDEX "tunnel_ends_remote_access_gateway_id_key_key" ON "tunnel_ends"("remote_access_gateway_id", "key");

-- AddForeignKey
ALTER TABLE "tunnel_ends" ADD CONSTRAINT "tunnel_ends_remote_access_gateway_id_fkey" FOREIGN KEY ("remote_access_gateway_id") REFERENCES "remote_access_gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "leases" ADD CONSTRAINT "leases_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "leases" ADD CONSTRAINT "leases_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "leases" ADD CONSTRAINT "leases_pool_id_fkey" FOREIGN KEY ("pool_id") REFERENCES "address_pools"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "leases" ADD CONSTRAINT "leases_road_warrior_id_fkey" FOREIGN KEY ("road_warrior_id") REFERENCES "road_warriors"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "lease_holders" ADD CONSTRAINT "lease_holders_lease_id_fkey" FOREIGN KEY ("lease_id") REFERENCES "leases"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "lease_holders" ADD CONSTRAINT "lease_holders_ike_sa_id_fkey" FOREIGN KEY ("ike_sa_id") REFERENCES "ike_sas"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- An end is a tunnel's, or remote access's with a connection of its own.
ALTER TABLE "tunnel_ends" ADD CONSTRAINT "tunnel_ends_of_one" CHECK (
  num_nonnulls("tunnel_id", "remote_access_gateway_id") = 1 AND num_nonnulls("remote_access_gateway_id", "key") <> 1);

-- IKE SAs go in many ways, most of them cascades: a lease ends with the last of its own, whichever way that goes.
CREATE FUNCTION "end_leases"() RETURNS trigger LANGUAGE plpgsql AS
  E'BEGIN UPDATE leases l SET open = NULL, ended_at = now() FROM gone g WHERE l.id = g.lease_id AND l.open AND NOT EXISTS (SELECT FROM lease_holders h WHERE h.lease_id = l.id)\x3b RETURN NULL\x3b END';
CREATE TRIGGER "lease_holders_gone" AFTER DELETE ON "lease_holders"
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION "end_leases"();
