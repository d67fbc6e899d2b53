-- AlterTable
ALTER TABLE "certificate_authorities" ADD COLUMN     "alerts_told" INTEGER NOT NULL DEFAULT 0;

-- Of what ended before there were alerts nobody is told any more.
UPDATE "certificate_authorities" SET "alerts_told" = 3 WHERE "not_after" < now();
