-- AlterTable
ALTER TABLE "remote_access" ADD COLUMN     "authority_ids" UUID[] DEFAULT ARRAY[]::UUID[],
ADD COLUMN     "strict_revocation" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "remote_access_rules" ADD COLUMN     "own_pools" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "pool_ids" UUID[] DEFAULT ARRAY[]::UUID[];
