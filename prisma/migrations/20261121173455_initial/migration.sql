-- CreateEnum
CREATE TYPE "role" AS ENUM ('ADMIN', 'OPERATOR', 'VIEWER');

-- CreateEnum
CREATE TYPE "token_kind" AS ENUM ('SESSION', 'API');

-- CreateEnum
CREATE TYPE "gateway_state" AS ENUM ('AWAITING_ENROLMENT', 'ENROLLED', 'RETIRED');

-- CreateEnum
CREATE TYPE "topology" AS ENUM ('HUB_AND_SPOKE');

-- CreateEnum
CREATE TYPE "member_role" AS ENUM ('HUB', 'SPOKE');

-- CreateEnum
CREATE TYPE "secret_kind" AS ENUM ('PRE_SHARED_KEY');

-- CreateEnum
CREATE TYPE "revision_status" AS ENUM ('PENDING', 'PUSHED', 'ACKED', 'NACKED', 'REVERTED', 'SUPERSEDED');

-- CreateEnum
CREATE TYPE "tunnel_state" AS ENUM ('PENDING', 'CONNECTING', 'UP', 'DEGRADED', 'DOWN');

-- CreateEnum
CREATE TYPE "severity" AS ENUM ('INFO', 'WARNING', 'ERROR');

-- CreateTable
CREATE TABLE "organizations" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "organizations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "operators" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "password_hash" TEXT NOT NULL,
    "must_change" BOOLEAN NOT NULL DEFAULT false,
    "role" "role" NOT NULL DEFAULT 'ADMIN',
    "failed_logins" INTEGER NOT NULL DEFAULT 0,
    "locked_until" TIMESTAMPTZ(3),
    "disabled_at" TIMESTAMPTZ(3),
    "last_login_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "operators_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_tokens" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "operator_id" UUID NOT NULL,
    "kind" "token_kind" NOT NULL,
    "name" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "hash" BYTEA NOT NULL,
    "permissions" TEXT[],
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "api_tokens_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "sites" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "sites_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "subnets" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "prefix" INET NOT NULL,
    "site_id" UUID,
    "external_peer_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "subnets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "gateways" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "site_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "state" "gateway_state" NOT NULL DEFAULT 'AWAITING_ENROLMENT',
    "host" TEXT,
    "ike_port" INTEGER NOT NULL DEFAULT 500,
    "natt_port" INTEGER NOT NULL DEFAULT 4500,
    "enrolled_at" TIMESTAMPTZ(3),
    "first_connected_at" TIMESTAMPTZ(3),
    "connected_at" TIMESTAMPTZ(3),
    "disconnected_at" TIMESTAMPTZ(3),
    "last_seen_at" TIMESTAMPTZ(3),
    "first_acked_at" TIMESTAMPTZ(3),
    "first_tunnel_up_at" TIMESTAMPTZ(3),
    "agent_version" TEXT,
    "data_plane" TEXT,
    "acked_revision" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "gateways_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "networks" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "topology" "topology" NOT NULL DEFAULT 'HUB_AND_SPOKE',
    "ike_proposals" TEXT[],
    "esp_proposals" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "networks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "network_members" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "site_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "role" "member_role" NOT NULL,
    "preference" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "network_members_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "external_peers" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "host" TEXT,
    "ike_port" INTEGER NOT NULL DEFAULT 500,
    "natt_port" INTEGER NOT NULL DEFAULT 4500,
    "remote_identity" TEXT NOT NULL,
    "local_identity" TEXT,
    "secret_id" UUID NOT NULL,
    "ike_proposals" TEXT[],
    "esp_proposals" TEXT[],
    "declared_ike_proposals" TEXT[],
    "declared_esp_proposals" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "external_peers_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "secrets" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "kind" "secret_kind" NOT NULL,
    "name" TEXT NOT NULL,
    "sealed" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "rotated_at" TIMESTAMPTZ(3),

    CONSTRAINT "secrets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "intent_revisions" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "sealed" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "schema_version" INTEGER NOT NULL,
    "status" "revision_status" NOT NULL DEFAULT 'PENDING',
    "nack_field" TEXT,
    "nack_reason" TEXT,
    "nack_code" TEXT,
    "nack_value" TEXT,
    "nack_expected" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "pushed_at" TIMESTAMPTZ(3),
    "acked_at" TIMESTAMPTZ(3),
    "confirmed_at" TIMESTAMPTZ(3),
    "nacked_at" TIMESTAMPTZ(3),
    "reverted_at" TIMESTAMPTZ(3),

    CONSTRAINT "intent_revisions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tunnels" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "network_id" UUID,
    "left_gateway_id" UUID NOT NULL,
    "right_gateway_id" UUID,
    "external_peer_id" UUID,
    "state" "tunnel_state" NOT NULL DEFAULT 'PENDING',
    "state_since" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tunnels_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tunnel_ends" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "tunnel_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "state" "tunnel_state" NOT NULL DEFAULT 'PENDING',
    "changed_at" TIMESTAMPTZ(3),
    "reported_at" TIMESTAMPTZ(3),
    "last_error_code" TEXT,
    "last_error_message" TEXT,
    "last_error_ours" TEXT,
    "last_error_theirs" TEXT,
    "last_error_exchange" TEXT,
    "last_error_at" TIMESTAMPTZ(3),

    CONSTRAINT "tunnel_ends_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ike_sas" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "tunnel_end_id" UUID NOT NULL,
    "initiator_spi" TEXT NOT NULL,
    "responder_spi" TEXT NOT NULL,
    "initiator" BOOLEAN NOT NULL,
    "state" TEXT NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 2,
    "local_endpoint" TEXT NOT NULL,
    "remote_endpoint" TEXT NOT NULL,
    "local_identity" TEXT NOT NULL,
    "remote_identity" TEXT NOT NULL,
    "proposal" TEXT NOT NULL,
    "nat_local" BOOLEAN NOT NULL DEFAULT false,
    "nat_remote" BOOLEAN NOT NULL DEFAULT false,
    "established_at" TIMESTAMPTZ(3),
    "next_rekey_at" TIMESTAMPTZ(3),
    "next_reauth_at" TIMESTAMPTZ(3),

    CONSTRAINT "ike_sas_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "child_sas" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "ike_sa_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "protocol" TEXT NOT NULL,
    "mode" TEXT NOT NULL,
    "inbound_spi" TEXT NOT NULL,
    "outbound_spi" TEXT NOT NULL,
    "local_selectors" TEXT[],
    "remote_selectors" TEXT[],
    "proposal" TEXT NOT NULL,
    "encapsulated" BOOLEAN NOT NULL DEFAULT false,
    "bytes_in" BIGINT NOT NULL DEFAULT 0,
    "bytes_out" BIGINT NOT NULL DEFAULT 0,
    "packets_in" BIGINT NOT NULL DEFAULT 0,
    "packets_out" BIGINT NOT NULL DEFAULT 0,
    "errors_in" BIGINT NOT NULL DEFAULT 0,
    "counted_at" TIMESTAMPTZ(3),
    "last_packet_in_at" TIMESTAMPTZ(3),
    "established_at" TIMESTAMPTZ(3),
    "next_rekey_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "child_sas_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "events" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "severity" "severity" NOT NULL DEFAULT 'INFO',
    "message" TEXT NOT NULL,
    "facts" JSONB NOT NULL DEFAULT '{}',
    "site_id" UUID,
    "gateway_id" UUID,
    "tunnel_id" UUID,
    "source_id" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "events_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_entries" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "actor_kind" TEXT NOT NULL,
    "actor_id" UUID,
    "actor_name" TEXT NOT NULL,
    "token_id" UUID,
    "origin" TEXT,
    "request_id" TEXT,
    "action" TEXT NOT NULL,
    "target_kind" TEXT NOT NULL,
    "target_id" UUID NOT NULL,
    "before" JSONB,
    "after" JSONB,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_entries_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "outbox" (
    "id" BIGSERIAL NOT NULL,
    "organization_id" UUID NOT NULL,
    "job" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "enqueued_at" TIMESTAMPTZ(3),
    "enqueued" INTEGER NOT NULL DEFAULT 0,
    "last_error" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "organizations_name_key" ON "organizations"("name");

-- CreateIndex
CREATE UNIQUE INDEX "organizations_slug_key" ON "organizations"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "operators_email_key" ON "operators"("email");

-- CreateIndex
CREATE INDEX "operators_organization_id_id_idx" ON "operators"("organization_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "api_tokens_hash_key" ON "api_tokens"("hash");

-- CreateIndex
CREATE INDEX "api_tokens_organization_id_operator_id_id_idx" ON "api_tokens"("organization_id", "operator_id", "id");

-- CreateIndex
CREATE INDEX "sites_organization_id_id_idx" ON "sites"("organization_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "sites_organization_id_name_key" ON "sites"("organization_id", "name");

-- CreateIndex
CREATE INDEX "subnets_site_id_idx" ON "subnets"("site_id");

-- CreateIndex
CREATE INDEX "subnets_external_peer_id_idx" ON "subnets"("external_peer_id");

-- CreateIndex
CREATE INDEX "subnets_prefix_idx" ON "subnets" USING GIST ("prefix" inet_ops);

-- CreateIndex
CREATE UNIQUE INDEX "subnets_organization_id_prefix_key" ON "subnets"("organization_id", "prefix");

-- CreateIndex
CREATE INDEX "gateways_organization_id_id_idx" ON "gateways"("organization_id", "id");

-- CreateIndex
CREATE INDEX "gateways_site_id_idx" ON "gateways"("site_id");

-- CreateIndex
CREATE UNIQUE INDEX "gateways_organization_id_name_key" ON "gateways"("organization_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "gateways_identity_key" ON "gateways"("identity");

-- CreateIndex
CREATE INDEX "networks_organization_id_id_idx" ON "networks"("organization_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "networks_organization_id_name_key" ON "networks"("organization_id", "name");

-- CreateIndex
CREATE INDEX "network_members_organization_id_gateway_id_idx" ON "network_members"("organization_id", "gateway_id");

-- CreateIndex
CREATE INDEX "network_members_site_id_idx" ON "network_members"("site_id");

-- CreateIndex
CREATE UNIQUE INDEX "network_members_network_id_gateway_id_key" ON "network_members"("network_id", "gateway_id");

-- CreateIndex
CREATE INDEX "external_peers_organization_id_id_idx" ON "external_peers"("organization_id", "id");

-- CreateIndex
CREATE INDEX "external_peers_gateway_id_idx" ON "external_peers"("gateway_id");

-- CreateIndex
CREATE INDEX "external_peers_secret_id_idx" ON "external_peers"("secret_id");

-- CreateIndex
CREATE UNIQUE INDEX "external_peers_organization_id_name_key" ON "external_peers"("organization_id", "name");

-- CreateIndex
CREATE INDEX "secrets_key_id_idx" ON "secrets"("key_id");

-- CreateIndex
CREATE UNIQUE INDEX "secrets_organization_id_name_key" ON "secrets"("organization_id", "name");

-- CreateIndex
CREATE INDEX "intent_revisions_organization_id_id_idx" ON "intent_revisions"("organization_id", "id");

-- CreateIndex
CREATE INDEX "intent_revisions_organization_id_status_id_idx" ON "intent_revisions"("organization_id", "status", "id");

-- CreateIndex
CREATE UNIQUE INDEX "intent_revisions_gateway_id_number_key" ON "intent_revisions"("gateway_id", "number");

-- CreateIndex
CREATE INDEX "tunnels_organization_id_state_id_idx" ON "tunnels"("organization_id", "state", "id");

-- CreateIndex
CREATE INDEX "tunnels_organization_id_id_idx" ON "tunnels"("organization_id", "id");

-- CreateIndex
CREATE INDEX "tunnels_left_gateway_id_idx" ON "tunnels"("left_gateway_id");

-- CreateIndex
CREATE INDEX "tunnels_right_gateway_id_idx" ON "tunnels"("right_gateway_id");

-- CreateIndex
CREATE INDEX "tunnels_external_peer_id_idx" ON "tunnels"("external_peer_id");

-- CreateIndex
CREATE INDEX "tunnels_network_id_idx" ON "tunnels"("network_id");

-- CreateIndex
CREATE UNIQUE INDEX "tunnels_organization_id_key_key" ON "tunnels"("organization_id", "key");

-- CreateIndex
CREATE INDEX "tunnel_ends_organization_id_gateway_id_idx" ON "tunnel_ends"("organization_id", "gateway_id");

-- CreateIndex
CREATE UNIQUE INDEX "tunnel_ends_tunnel_id_gateway_id_key" ON "tunnel_ends"("tunnel_id", "gateway_id");

-- CreateIndex
CREATE INDEX "ike_sas_organization_id_idx" ON "ike_sas"("organization_id");

-- CreateIndex
CREATE UNIQUE INDEX "ike_sas_tunnel_end_id_initiator_spi_responder_spi_key" ON "ike_sas"("tunnel_end_id", "initiator_spi", "responder_spi");

-- CreateIndex
CREATE INDEX "child_sas_organization_id_idx" ON "child_sas"("organization_id");

-- CreateIndex
CREATE UNIQUE INDEX "child_sas_ike_sa_id_inbound_spi_outbound_spi_key" ON "child_sas"("ike_sa_id", "inbound_spi", "outbound_spi");

-- CreateIndex
CREATE INDEX "events_organization_id_id_idx" ON "events"("organization_id", "id");

-- CreateIndex
CREATE INDEX "events_organization_id_gateway_id_id_idx" ON "events"("organization_id", "gateway_id", "id");

-- CreateIndex
CREATE INDEX "events_organization_id_tunnel_id_id_idx" ON "events"("organization_id", "tunnel_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "events_gateway_id_source_id_key" ON "events"("gateway_id", "source_id");

-- CreateIndex
CREATE INDEX "audit_entries_organization_id_id_idx" ON "audit_entries"("organization_id", "id");

-- CreateIndex
CREATE INDEX "audit_entries_organization_id_target_id_id_idx" ON "audit_entries"("organization_id", "target_id", "id");

-- CreateIndex
CREATE INDEX "outbox_enqueued_at_id_idx" ON "outbox"("enqueued_at", "id");

-- CreateIndex
CREATE INDEX "outbox_organization_id_idx" ON "outbox"("organization_id");

-- AddForeignKey
ALTER TABLE "operators" ADD CONSTRAINT "operators_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_operator_id_fkey" FOREIGN KEY ("operator_id") REFERENCES "operators"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sites" ADD CONSTRAINT "sites_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "subnets" ADD CONSTRAINT "subnets_site_id_fkey" FOREIGN KEY ("site_id") REFERENCES "sites"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "subnets" ADD CONSTRAINT "subnets_external_peer_id_fkey" FOREIGN KEY ("external_peer_id") REFERENCES "external_peers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "gateways" ADD CONSTRAINT "gateways_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "gateways" ADD CONSTRAINT "gateways_site_id_fkey" FOREIGN KEY ("site_id") REFERENCES "sites"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "networks" ADD CONSTRAINT "networks_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "network_members" ADD CONSTRAINT "network_members_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "network_members" ADD CONSTRAINT "network_members_site_id_fkey" FOREIGN KEY ("site_id") REFERENCES "sites"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "network_members" ADD CONSTRAINT "network_members_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "external_peers" ADD CONSTRAINT "external_peers_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "external_peers" ADD CONSTRAINT "external_peers_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "external_peers" ADD CONSTRAINT "external_peers_secret_id_fkey" FOREIGN KEY ("secret_id") REFERENCES "secrets"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "secrets" ADD CONSTRAINT "secrets_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "intent_revisions" ADD CONSTRAINT "intent_revisions_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "intent_revisions" ADD CONSTRAINT "intent_revisions_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tunnels" ADD CONSTRAINT "tunnels_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tunnels" ADD CONSTRAINT "tunnels_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tunnels" ADD CONSTRAINT "tunnels_left_gateway_id_fkey" FOREIGN KEY ("left_gateway_id") REFERENCES "gateways"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tunnels" ADD CONSTRAINT "tunnels_right_gateway_id_fkey" FOREIGN KEY ("right_gateway_id") REFERENCES "gateways"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tunnels" ADD CONSTRAINT "tunnels_external_peer_id_fkey" FOREIGN KEY ("external_peer_id") REFERENCES "external_peers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tunnel_ends" ADD CONSTRAINT "tunnel_ends_tunnel_id_fkey" FOREIGN KEY ("tunnel_id") REFERENCES "tunnels"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tunnel_ends" ADD CONSTRAINT "tunnel_ends_gateway_id_fkey" FOREIGN KEY ("gateway_id") REFERENCES "gateways"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ike_sas" ADD CONSTRAINT "ike_sas_tunnel_end_id_fkey" FOREIGN KEY ("tunnel_end_id") REFERENCES "tunnel_ends"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "child_sas" ADD CONSTRAINT "child_sas_ike_sa_id_fkey" FOREIGN KEY ("ike_sa_id") REFERENCES "ike_sas"("id") ON DELETE CASCADE ON UPDATE CASCADE;
