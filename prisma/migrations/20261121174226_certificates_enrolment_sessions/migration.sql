-- CreateEnum
CREATE TYPE "authority_purpose" AS ENUM ('GATEWAY_IDENTITY', 'CONTROL_CHANNEL');

-- CreateEnum
CREATE TYPE "authority_level" AS ENUM ('ROOT', 'ISSUING');

-- CreateTable
CREATE TABLE "authority_keys" (
    "id" UUID NOT NULL,
    "organization_id" UUID,
    "kind" TEXT NOT NULL,
    "spki" BYTEA NOT NULL,
    "sealed" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "authority_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "certificate_authorities" (
    "id" UUID NOT NULL,
    "organization_id" UUID,
    "purpose" "authority_purpose" NOT NULL,
    "level" "authority_level" NOT NULL,
    "parent_id" UUID,
    "name" TEXT NOT NULL,
    "certificate" BYTEA NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "key_ref" TEXT NOT NULL,
    "key_kind" TEXT NOT NULL,
    "not_before" TIMESTAMPTZ(3) NOT NULL,
    "not_after" TIMESTAMPTZ(3) NOT NULL,
    "retired_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "certificate_authorities_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "certificates" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "authority_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "purpose" "authority_purpose" NOT NULL,
    "serial" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "certificate" BYTEA NOT NULL,
    "not_before" TIMESTAMPTZ(3) NOT NULL,
    "not_after" TIMESTAMPTZ(3) NOT NULL,
    "superseded_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "certificates_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "enrolment_tokens" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "hash" BYTEA NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "enrolment_tokens_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "agent_sessions" (
    "gateway_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "replica_id" UUID NOT NULL,
    "contract_version" INTEGER NOT NULL,
    "origin" TEXT,
    "opened_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "agent_sessions_pkey" PRIMARY KEY ("gateway_id")
);

-- CreateIndex
CREATE INDEX "authority_keys_organization_id_idx" ON "authority_keys"("organization_id");

-- CreateIndex
CREATE INDEX "authority_keys_key_id_idx" ON "authority_keys"("key_id");

-- CreateIndex
CREATE UNIQUE INDEX "certificate_authorities_fingerprint_key" ON "certificate_authorities"("fingerprint");

-- CreateIndex
CREATE INDEX "certificate_authorities_organization_id_purpose_level_idx" ON "certificate_authorities"("organization_id", "purpose", "level");

-- CreateIndex
CREATE INDEX "certificate_authorities_parent_id_idx" ON "certificate_authorities"("parent_id");

-- CreateIndex
CREATE UNIQUE INDEX "certificates_fingerprint_key" ON "certificates"("fingerprint");

-- CreateIndex
CREATE INDEX "certificates_organization_id_purpose_superseded_at_idx" ON "certificates"("organization_id", "purpose", "superseded_at");

-- CreateIndex
CREATE INDEX "certificates_gateway_id_purpose_idx" ON "certificates"("gateway_id", "purpose");

-- CreateIndex
CREATE UNIQUE INDEX "certificates_authority_id_serial_key" ON "certificates"("authority_id", "serial");

-- CreateIndex
CREATE UNIQUE INDEX "enrolment_tokens_hash_key" ON "enrolment_tokens"("hash");

-- CreateIndex
CREATE INDEX "enrolment_tokens_organization_id_idx" ON "enrolment_tokens"("organization_id");

-- CreateIndex
CREATE INDEX "enrolment_tokens_gateway_id_idx" ON "enrolment_tokens"("gateway_id");

-- CreateIndex
CREATE INDEX "agent_sessions_organization_id_seen_at_idx" ON "agent_sessions"("organization_id", "seen_at");

-- CreateIndex
CREATE INDEX "agent_sessions_replica_id_idx" ON "agent_sessions"("replica_id");

-- AddForeignKey
ALTER TABLE "authority_keys" ADD CONSTRAINT "authority_keys_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificate_authorities" ADD CONSTRAINT "certificate_authorities_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificate_authorities" ADD CONSTRAINT "certificate_authorities_parent_id_fkey" FOREIGN KEY ("parent_id") REFERENCES "certificate_authorities"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificates" ADD CONSTRAINT "certificates_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificates" ADD CONSTRAINT "certificates_authority_id_fkey" FOREIGN KEY ("authority_id") REFERENCES "certificate_authorities"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificates" ADD CONSTRAINT "certificates_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "enrolment_tokens" ADD CONSTRAINT "enrolment_tokens_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "enrolment_tokens" ADD CONSTRAINT "enrolment_tokens_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "agent_sessions" ADD CONSTRAINT "agent_sessions_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "agent_sessions" ADD CONSTRAINT "agent_sessions_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;
