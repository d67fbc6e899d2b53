-- CreateEnum
CREATE TYPE "acme_account_state" AS ENUM ('REGISTERING', 'READY', 'FAILED');

-- CreateEnum
CREATE TYPE "acme_challenge" AS ENUM ('HTTP_01');

-- CreateEnum
CREATE TYPE "acme_order_state" AS ENUM ('REQUESTED', 'KEYED', 'ORDERED', 'VALIDATING', 'ISSUING', 'ISSUED', 'FAILED');

-- CreateTable
CREATE TABLE "acme_accounts" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "directory_url" TEXT NOT NULL,
    "contacts" TEXT[],
    "directory_roots" TEXT,
    "binding_key_id" TEXT,
    "sealed" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,
    "state" "acme_account_state" NOT NULL DEFAULT 'REGISTERING',
    "account_url" TEXT,
    "failure" JSONB,
    "orders_per_week" INTEGER NOT NULL DEFAULT 40,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "acme_accounts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "acme_certificates" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "account_id" UUID NOT NULL,
    "names" TEXT[],
    "challenge" "acme_challenge" NOT NULL,
    "key_type" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "acme_certificates_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "acme_orders" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "acme_certificate_id" UUID NOT NULL,
    "account_id" UUID,
    "state" "acme_order_state" NOT NULL DEFAULT 'REQUESTED',
    "names" TEXT[],
    "csr" BYTEA,
    "order_url" TEXT,
    "tokens" TEXT[],
    "intermediates" BYTEA[],
    "certificate_id" UUID,
    "due_at" TIMESTAMPTZ(3) DEFAULT CURRENT_TIMESTAMP,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "failure" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "acme_orders_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "acme_accounts_organization_id_id_idx" ON "acme_accounts"("organization_id", "id");

-- CreateIndex
CREATE INDEX "acme_accounts_key_id_idx" ON "acme_accounts"("key_id");

-- CreateIndex
CREATE UNIQUE INDEX "acme_accounts_organization_id_name_key" ON "acme_accounts"("organization_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "acme_certificates_gateway_id_key" ON "acme_certificates"("gateway_id");

-- CreateIndex
CREATE INDEX "acme_certificates_organization_id_id_idx" ON "acme_certificates"("organization_id", "id");

-- CreateIndex
CREATE INDEX "acme_certificates_account_id_idx" ON "acme_certificates"("account_id");

-- CreateIndex
CREATE UNIQUE INDEX "acme_orders_certificate_id_key" ON "acme_orders"("certificate_id");

-- CreateIndex
CREATE INDEX "acme_orders_organization_id_acme_certificate_id_id_idx" ON "acme_orders"("organization_id", "acme_certificate_id", "id");

-- CreateIndex
CREATE INDEX "acme_orders_account_id_created_at_idx" ON "acme_orders"("account_id", "created_at");

-- CreateIndex
CREATE INDEX "acme_orders_due_at_idx" ON "acme_orders"("due_at");

-- AddForeignKey
ALTER TABLE "acme_accounts" ADD CONSTRAINT "acme_accounts_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "acme_certificates" ADD CONSTRAINT "acme_certificates_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "acme_certificates" ADD CONSTRAINT "acme_certificates_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "acme_certificates" ADD CONSTRAINT "acme_certificates_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "acme_accounts"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "acme_orders" ADD CONSTRAINT "acme_orders_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "acme_orders" ADD CONSTRAINT "acme_orders_acme_certificate_id_fkey" FOREIGN KEY ("acme_certificate_id") REFERENCES "acme_certificates"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "acme_orders" ADD CONSTRAINT "acme_orders_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "acme_accounts"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "acme_orders" ADD CONSTRAINT "acme_orders_certificate_id_fkey" FOREIGN KEY ("certificate_id") REFERENCES "certificates"("id") ON DELETE SET NULL ON UPDATE CASCADE;
