-- CreateTable
CREATE TABLE "address_pools" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "addresses" TEXT[],
    "exclusions" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "address_pools_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "road_warriors" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "username" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "session_limit" INTEGER NOT NULL DEFAULT 1,
    "sealed" BYTEA,
    "key_id" TEXT,
    "password_set_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "road_warriors_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "road_warrior_groups" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "road_warrior_groups_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "road_warrior_group_members" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "group_id" UUID NOT NULL,
    "road_warrior_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "road_warrior_group_members_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "static_leases" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "pool_id" UUID NOT NULL,
    "road_warrior_id" UUID NOT NULL,
    "address" INET NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "static_leases_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "address_pools_organization_id_id_idx" ON "address_pools"("organization_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "address_pools_organization_id_name_key" ON "address_pools"("organization_id", "name");

-- CreateIndex
CREATE INDEX "road_warriors_organization_id_id_idx" ON "road_warriors"("organization_id", "id");

-- CreateIndex
CREATE INDEX "road_warriors_key_id_idx" ON "road_warriors"("key_id");

-- CreateIndex
CREATE UNIQUE INDEX "road_warriors_organization_id_username_key" ON "road_warriors"("organization_id", "username");

-- CreateIndex
CREATE INDEX "road_warrior_groups_organization_id_id_idx" ON "road_warrior_groups"("organization_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "road_warrior_groups_organization_id_name_key" ON "road_warrior_groups"("organization_id", "name");

-- CreateIndex
CREATE INDEX "road_warrior_group_members_organization_id_idx" ON "road_warrior_group_members"("organization_id");

-- CreateIndex
CREATE INDEX "road_warrior_group_members_road_warrior_id_idx" ON "road_warrior_group_members"("road_warrior_id");

-- CreateIndex
CREATE UNIQUE INDEX "road_warrior_group_members_group_id_road_warrior_id_key" ON "road_warrior_group_members"("group_id", "road_warrior_id");

-- CreateIndex
CREATE INDEX "static_leases_road_warrior_id_idx" ON "static_leases"("road_warrior_id");

-- CreateIndex
CREATE UNIQUE INDEX "static_leases_organization_id_address_key" ON "static_leases"("organization_id", "address");

-- CreateIndex
CREATE UNIQUE INDEX "static_leases_pool_id_road_warrior_id_key" ON "static_leases"("pool_id", "road_warrior_id");

-- AddForeignKey
ALTER TABLE "address_pools" ADD CONSTRAINT "address_pools_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "road_warriors" ADD CONSTRAINT "road_warriors_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "road_warrior_groups" ADD CONSTRAINT "road_warrior_groups_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "road_warrior_group_members" ADD CONSTRAINT "road_warrior_group_members_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "road_warrior_group_members" ADD CONSTRAINT "road_warrior_group_members_group_id_fkey" FOREIGN KEY ("group_id") REFERENCES "road_warrior_groups"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "road_warrior_group_members" ADD CONSTRAINT "road_warrior_group_members_road_warrior_id_fkey" FOREIGN KEY ("road_warrior_id") REFERENCES "road_warriors"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "static_leases" ADD CONSTRAINT "static_leases_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "static_leases" ADD CONSTRAINT "static_leases_pool_id_fkey" FOREIGN KEY ("pool_id") REFERENCES "address_pools"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "static_leases" ADD CONSTRAINT "static_leases_road_warrior_id_fkey" FOREIGN KEY ("road_warrior_id") REFERENCES "road_warriors"("id") ON DELETE CASCADE ON UPDATE CASCADE;
