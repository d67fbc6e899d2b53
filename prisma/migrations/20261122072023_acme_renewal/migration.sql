-- AlterTable
ALTER TABLE "acme_certificates" ADD COLUMN     "alert_at" TIMESTAMPTZ(3),
ADD COLUMN     "ask_at" TIMESTAMPTZ(3),
ADD COLUMN     "renew_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "acme_certificates_renew_at_idx" ON "acme_certificates"("renew_at");

-- CreateIndex
CREATE INDEX "acme_certificates_ask_at_idx" ON "acme_certificates"("ask_at");

-- CreateIndex
CREATE INDEX "acme_certificates_alert_at_idx" ON "acme_certificates"("alert_at");
