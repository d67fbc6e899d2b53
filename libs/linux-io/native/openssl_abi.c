/* Looks libcrypto's functions up in the process. */
#define _GNU_SOURCE
#include "openssl_abi.h"

#include <dlfcn.h>

static bool find(void **slot, const char *name)
{
	*slot = dlsym(RTLD_DEFAULT, name);
	return *slot != NULL;
}

const struct openssl *openssl_functions(void)
{
	static struct openssl found;
	static enum { UNKNOWN, THERE, MISSING } state = UNKNOWN;

	if (state == UNKNOWN) {
		bool all = find((void **)&found.cipher_fetch, "EVP_CIPHER_fetch") &&
			   find((void **)&found.cipher_free, "EVP_CIPHER_free") &&
			   find((void **)&found.cipher_context_new, "EVP_CIPHER_CTX_new") &&
			   find((void **)&found.cipher_context_free, "EVP_CIPHER_CTX_free") &&
			   find((void **)&found.cipher_control, "EVP_CIPHER_CTX_ctrl") &&
			   find((void **)&found.cipher_set_padding, "EVP_CIPHER_CTX_set_padding") &&
			   find((void **)&found.cipher_init, "EVP_CipherInit_ex") &&
			   find((void **)&found.cipher_update, "EVP_CipherUpdate") &&
			   find((void **)&found.cipher_final, "EVP_CipherFinal_ex") &&
			   find((void **)&found.mac_fetch, "EVP_MAC_fetch") &&
			   find((void **)&found.mac_free, "EVP_MAC_free") &&
			   find((void **)&found.mac_context_new, "EVP_MAC_CTX_new") &&
			   find((void **)&found.mac_context_free, "EVP_MAC_CTX_free") &&
			   find((void **)&found.mac_init, "EVP_MAC_init") &&
			   find((void **)&found.mac_update, "EVP_MAC_update") &&
			   find((void **)&found.mac_final, "EVP_MAC_final") &&
			   find((void **)&found.param_text, "OSSL_PARAM_construct_utf8_string") &&
			   find((void **)&found.param_end, "OSSL_PARAM_construct_end") &&
			   find((void **)&found.compare, "CRYPTO_memcmp") &&
			   find((void **)&found.cleanse, "OPENSSL_cleanse");

		state = all ? THERE : MISSING;
	}
	return state == THERE ? &found : NULL;
}
