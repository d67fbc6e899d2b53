-- AlterEnum
ALTER TYPE "acme_challenge" ADD VALUE 'TLS_ALPN_01';
