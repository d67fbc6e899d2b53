-- CreateEnum
CREATE TYPE "profile_kind" AS ENUM ('GATEWAY', 'ROAD_WARRIOR', 'OPERATOR');

-- CreateEnum
CREATE TYPE "revocation_reason" AS ENUM ('UNSPECIFIED', 'KEY_COMPROMISE', 'CA_COMPROMISE', 'AFFILIATION_CHANGED', 'SUPERSEDED', 'CESSATION_OF_OPERATION', 'CERTIFICATE_HOLD', 'PRIVILEGE_WITHDRAWN');

-- AlterEnum
ALTER TYPE "authority_purpose" ADD VALUE 'PROFILES';

-- DropIndex
DROP INDEX "certificate_authorities_fingerprint_key";

-- DropIndex
DROP INDEX "certificates_fingerprint_key";

-- AlterTable
ALTER TABLE "certificate_authorities" ADD COLUMN     "list_number" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "lists_due_at" TIMESTAMPTZ(3),
ALTER COLUMN "key_ref" DROP NOT NULL;

-- AlterTable
ALTER TABLE "certificates" ADD COLUMN     "holder" TEXT NOT NULL DEFAULT '',
ADD COLUMN     "issuer" TEXT NOT NULL DEFAULT '',
ADD COLUMN     "key_kind" TEXT NOT NULL DEFAULT '',
ADD COLUMN     "names" TEXT[],
ADD COLUMN     "profile_id" UUID,
ADD COLUMN     "released_at" TIMESTAMPTZ(3),
ADD COLUMN     "replaces_id" UUID,
ADD COLUMN     "revocation_reason" "revocation_reason",
ALTER COLUMN "authority_id" DROP NOT NULL,
ALTER COLUMN "gateway_id" DROP NOT NULL,
ALTER COLUMN "purpose" DROP NOT NULL;

-- CreateTable
CREATE TABLE "authority_requests" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "key_ref" TEXT NOT NULL,
    "key_kind" TEXT NOT NULL,
    "request" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "authority_requests_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "certificate_profiles" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "authority_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "kind" "profile_kind" NOT NULL,
    "dns_names" TEXT[],
    "email_hosts" TEXT[],
    "addresses" TEXT[],
    "key_kinds" TEXT[],
    "valid_days" INTEGER NOT NULL,
    "extended_key_usages" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "certificate_profiles_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "issuance_log" (
    "organization_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "body" TEXT NOT NULL,
    "previous" TEXT NOT NULL,
    "hash" TEXT NOT NULL,

    CONSTRAINT "issuance_log_pkey" PRIMARY KEY ("organization_id","sequence")
);

-- CreateTable
CREATE TABLE "revocation_lists" (
    "id" UUID NOT NULL,
    "organization_id" UUID,
    "authority_id" UUID NOT NULL,
    "delta" BOOLEAN NOT NULL,
    "number" BIGINT NOT NULL,
    "list" BYTEA,
    "this_update" TIMESTAMPTZ(3) NOT NULL,
    "next_update" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "revocation_lists_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ocsp_responders" (
    "authority_id" UUID NOT NULL,
    "organization_id" UUID,
    "key_ref" TEXT NOT NULL,
    "key_kind" TEXT NOT NULL,
    "certificate" BYTEA NOT NULL,
    "not_after" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "ocsp_responders_pkey" PRIMARY KEY ("authority_id")
);

-- CreateTable
CREATE TABLE "ocsp_answers" (
    "authority_id" UUID NOT NULL,
    "serial" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "organization_id" UUID,
    "answer" BYTEA NOT NULL,
    "this_update" TIMESTAMPTZ(3) NOT NULL,
    "next_update" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "ocsp_answers_pkey" PRIMARY KEY ("authority_id","serial","hash")
);

-- CreateIndex
CREATE INDEX "authority_requests_organization_id_id_idx" ON "authority_requests"("organization_id", "id");

-- CreateIndex
CREATE INDEX "certificate_profiles_organization_id_id_idx" ON "certificate_profiles"("organization_id", "id");

-- CreateIndex
CREATE INDEX "certificate_profiles_authority_id_idx" ON "certificate_profiles"("authority_id");

-- CreateIndex
CREATE UNIQUE INDEX "certificate_profiles_organization_id_name_key" ON "certificate_profiles"("organization_id", "name");

-- CreateIndex
CREATE INDEX "revocation_lists_organization_id_idx" ON "revocation_lists"("organization_id");

-- CreateIndex
CREATE UNIQUE INDEX "revocation_lists_authority_id_delta_number_key" ON "revocation_lists"("authority_id", "delta", "number");

-- CreateIndex
CREATE INDEX "ocsp_responders_organization_id_idx" ON "ocsp_responders"("organization_id");

-- CreateIndex
CREATE INDEX "ocsp_answers_next_update_idx" ON "ocsp_answers"("next_update");

-- CreateIndex
CREATE INDEX "ocsp_answers_organization_id_idx" ON "ocsp_answers"("organization_id");

-- CreateIndex
CREATE UNIQUE INDEX "certificate_authorities_fingerprint_organization_id_key" ON "certificate_authorities"("fingerprint", "organization_id");

-- CreateIndex
CREATE INDEX "certificates_organization_id_not_after_id_idx" ON "certificates"("organization_id", "not_after", "id");

-- CreateIndex
CREATE INDEX "certificates_authority_id_revoked_at_idx" ON "certificates"("authority_id", "revoked_at");

-- CreateIndex
CREATE INDEX "certificates_profile_id_idx" ON "certificates"("profile_id");

-- CreateIndex
CREATE INDEX "certificates_replaces_id_idx" ON "certificates"("replaces_id");

-- CreateIndex
CREATE UNIQUE INDEX "certificates_fingerprint_organization_id_key" ON "certificates"("fingerprint", "organization_id");

-- AddForeignKey
ALTER TABLE "authority_requests" ADD CONSTRAINT "authority_requests_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificate_profiles" ADD CONSTRAINT "certificate_profiles_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificate_profiles" ADD CONSTRAINT "certificate_profiles_authority_id_fkey" FOREIGN KEY ("authority_id") REFERENCES "certificate_authorities"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificates" ADD CONSTRAINT "certificates_profile_id_fkey" FOREIGN KEY ("profile_id") REFERENCES "certificate_profiles"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "certificates" ADD CONSTRAINT "certificates_replaces_id_fkey" FOREIGN KEY ("replaces_id") REFERENCES "certificates"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "issuance_log" ADD CONSTRAINT "issuance_log_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "revocation_lists" ADD CONSTRAINT "revocation_lists_authority_id_fkey" FOREIGN KEY ("authority_id") REFERENCES "certificate_authorities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ocsp_responders" ADD CONSTRAINT "ocsp_responders_authority_id_fkey" FOREIGN KEY ("authority_id") REFERENCES "certificate_authorities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ocsp_answers" ADD CONSTRAINT "ocsp_answers_authority_id_fkey" FOREIGN KEY ("authority_id") REFERENCES "certificate_authorities"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Append-only: whoever wants to change the log has to take the trigger off first, and the hashes tell of it all the same.
-- \x3b is a semicolon: the tool that compares migrations with the schema takes every other one for the end of a statement.
CREATE FUNCTION "refuse_log_change"() RETURNS trigger LANGUAGE plpgsql AS
  E'BEGIN RAISE EXCEPTION ''the issuance log is append-only''\x3b END';
CREATE TRIGGER "issuance_log_append_only" BEFORE UPDATE OR DELETE ON "issuance_log"
  FOR EACH ROW EXECUTE FUNCTION "refuse_log_change"();
CREATE TRIGGER "issuance_log_no_truncate" BEFORE TRUNCATE ON "issuance_log"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_log_change"();

-- Issued before there was a reason to give.
UPDATE "certificates" SET "revocation_reason" = 'UNSPECIFIED' WHERE "revoked_at" IS NOT NULL;
UPDATE "certificates" c SET "issuer" = a."name" FROM "certificate_authorities" a WHERE a."id" = c."authority_id";
UPDATE "certificates" c SET "holder" = g."name" FROM "gateways" g WHERE g."id" = c."gateway_id";
