/*
 * The few functions of libcrypto that ESP and IKE call, found at run time in the process (Node exports them, or is linked with the
 * library that does): no header and no library is needed for building. Their ABI is fixed for all of OpenSSL 3.
 */
#ifndef SALLYPORT_OPENSSL_ABI_H
#define SALLYPORT_OPENSSL_ABI_H

#include <stdbool.h>
#include <stddef.h>

typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_pkey_ctx_st EVP_PKEY_CTX;
typedef struct evp_mac_st EVP_MAC;
typedef struct evp_mac_ctx_st EVP_MAC_CTX;

/* struct ossl_param_st of openssl/core.h, a public structure. */
struct ossl_param {
	const char *key;
	unsigned int data_type;
	void *data;
	size_t data_size;
	size_t return_size;
};

enum { CTRL_AEAD_GET_TAG = 0x10, CTRL_AEAD_SET_TAG = 0x11 };

struct openssl {
	EVP_CIPHER *(*cipher_fetch)(void *context, const char *name, const char *properties);
	void (*cipher_free)(EVP_CIPHER *cipher);
	EVP_CIPHER_CTX *(*cipher_context_new)(void);
	void (*cipher_context_free)(EVP_CIPHER_CTX *context);
	int (*cipher_context_reset)(EVP_CIPHER_CTX *context);
	int (*cipher_control)(EVP_CIPHER_CTX *context, int type, int argument, void *pointer);
	int (*cipher_set_padding)(EVP_CIPHER_CTX *context, int padding);
	int (*cipher_init)(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, void *engine, const unsigned char *key,
			   const unsigned char *iv, int encrypt);
	int (*cipher_update)(EVP_CIPHER_CTX *context, unsigned char *out, int *out_octets, const unsigned char *in,
			     int in_octets);
	int (*cipher_final)(EVP_CIPHER_CTX *context, unsigned char *out, int *out_octets);
	EVP_MAC *(*mac_fetch)(void *context, const char *name, const char *properties);
	void (*mac_free)(EVP_MAC *mac);
	EVP_MAC_CTX *(*mac_context_new)(EVP_MAC *mac);
	void (*mac_context_free)(EVP_MAC_CTX *context);
	int (*mac_init)(EVP_MAC_CTX *context, const unsigned char *key, size_t octets, const struct ossl_param *parameters);
	int (*mac_update)(EVP_MAC_CTX *context, const unsigned char *data, size_t octets);
	int (*mac_final)(EVP_MAC_CTX *context, unsigned char *out, size_t *out_octets, size_t room);
	EVP_MD *(*digest_fetch)(void *context, const char *name, const char *properties);
	void (*digest_free)(EVP_MD *digest);
	int (*digest_block_octets)(const EVP_MD *digest);
	int (*digest_octets)(const EVP_MD *digest);
	EVP_MD_CTX *(*digest_context_new)(void);
	void (*digest_context_free)(EVP_MD_CTX *context);
	int (*digest_init)(EVP_MD_CTX *context, const EVP_MD *digest, const struct ossl_param *parameters);
	int (*digest_update)(EVP_MD_CTX *context, const void *data, size_t octets);
	int (*digest_final)(EVP_MD_CTX *context, unsigned char *out, unsigned int *out_octets);
	EVP_PKEY_CTX *(*key_context_from_name)(void *context, const char *name, const char *properties);
	EVP_PKEY_CTX *(*key_context_from_key)(void *context, EVP_PKEY *key, const char *properties);
	void (*key_context_free)(EVP_PKEY_CTX *context);
	int (*keygen_init)(EVP_PKEY_CTX *context);
	int (*key_set_parameters)(EVP_PKEY_CTX *context, const struct ossl_param *parameters);
	int (*key_generate)(EVP_PKEY_CTX *context, EVP_PKEY **key);
	void (*key_free)(EVP_PKEY *key);
	int (*key_get_octets)(const EVP_PKEY *key, const char *name, unsigned char *out, size_t room, size_t *out_octets);
	int (*key_set_public)(EVP_PKEY *key, const unsigned char *value, size_t octets);
	int (*derive_init)(EVP_PKEY_CTX *context);
	int (*derive_set_peer)(EVP_PKEY_CTX *context, EVP_PKEY *peer, int validate);
	int (*derive)(EVP_PKEY_CTX *context, unsigned char *out, size_t *octets);
	int (*error_mark)(void);
	int (*error_pop_to_mark)(void);
	struct ossl_param (*param_text)(const char *key, char *text, size_t octets);
	struct ossl_param (*param_end)(void);
	int (*compare)(const void *one, const void *other, size_t octets);
	void (*cleanse)(void *data, size_t octets);
};

/* NULL when this process has no OpenSSL 3 to offer. */
const struct openssl *openssl_functions(void);

#endif
