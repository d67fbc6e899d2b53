-- AlterEnum
ALTER TYPE "remote_access_method" ADD VALUE 'CERTIFICATE_AND_EAP_MSCHAPV2';
