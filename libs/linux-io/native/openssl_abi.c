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
			   find((void **)&found.cipher_context_reset, "EVP_CIPHER_CTX_reset") &&
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
			   find((void **)&found.digest_fetch, "EVP_MD_fetch") &&
			   find((void **)&found.digest_free, "EVP_MD_free") &&
			   find((void **)&found.digest_block_octets, "EVP_MD_get_block_size") &&
			   find((void **)&found.digest_octets, "EVP_MD_get_size") &&
			   find((void **)&found.digest_context_new, "EVP_MD_CTX_new") &&
			   find((void **)&found.digest_context_free, "EVP_MD_CTX_free") &&
			   find((void **)&found.digest_init, "EVP_DigestInit_ex2") &&
			   find((void **)&found.digest_update, "EVP_DigestUpdate") &&
			   find((void **)&found.digest_final, "EVP_DigestFinal_ex") &&
			   find((void **)&found.key_context_from_name, "EVP_PKEY_CTX_new_from_name") &&
			   find((void **)&found.key_context_from_key, "EVP_PKEY_CTX_new_from_pkey") &&
			   find((void **)&found.key_context_free, "EVP_PKEY_CTX_free") &&
			   find((void **)&found.keygen_init, "EVP_PKEY_keygen_init") &&
			   find((void **)&found.key_set_parameters, "EVP_PKEY_CTX_set_params") &&
			   find((void **)&found.key_generate, "EVP_PKEY_generate") &&
			   find((void **)&found.key_free, "EVP_PKEY_free") &&
			   find((void **)&found.key_get_octets, "EVP_PKEY_get_octet_string_param") &&
			   find((void **)&found.key_set_public, "EVP_PKEY_set1_encoded_public_key") &&
			   find((void **)&found.derive_init, "EVP_PKEY_derive_init") &&
			   find((void **)&found.derive_set_peer, "EVP_PKEY_derive_set_peer_ex") &&
			   find((void **)&found.derive, "EVP_PKEY_derive") &&
			   find((void **)&found.error_mark, "ERR_set_mark") &&
			   find((void **)&found.error_pop_to_mark, "ERR_pop_to_mark") &&
			   find((void **)&found.param_text, "OSSL_PARAM_construct_utf8_string") &&
			   find((void **)&found.param_end, "OSSL_PARAM_construct_end") &&
			   find((void **)&found.compare, "CRYPTO_memcmp") &&
			   find((void **)&found.cleanse, "OPENSSL_cleanse");

		state = all ? THERE : MISSING;
	}
	return state == THERE ? &found : NULL;
}
