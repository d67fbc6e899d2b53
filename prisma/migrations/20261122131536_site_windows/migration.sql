-- AlterTable
ALTER TABLE "sites" ADD COLUMN     "time_zone" TEXT NOT NULL DEFAULT 'UTC';

-- CreateTable
CREATE TABLE "site_windows" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "site_id" UUID NOT NULL,
    "days" INTEGER[],
    "from" INTEGER NOT NULL,
    "minutes" INTEGER NOT NULL,

    CONSTRAINT "site_windows_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "site_windows_organization_id_site_id_idx" ON "site_windows"("organization_id", "site_id");

-- CreateIndex
CREATE INDEX "site_windows_site_id_idx" ON "site_windows"("site_id");

-- AddForeignKey
ALTER TABLE "site_windows" ADD CONSTRAINT "site_windows_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "site_windows" ADD CONSTRAINT "site_windows_site_id_fkey" FOREIGN KEY ("site_id") REFERENCES "sites"("id") ON DELETE CASCADE ON UPDATE CASCADE;
