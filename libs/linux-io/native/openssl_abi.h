/*
 * The few functions of libcrypto that ESP calls, found at run time in the process (Node exports them, or is linked with the
 * library that does): no header and no library is needed for building. Their ABI is fixed for all of OpenSSL 3.
 */
#ifndef SALLYPORT_OPENSSL_ABI_H
#define SALLYPORT_OPENSSL_ABI_H

#include <stdbool.h>
#include <stddef.h>

typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
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
	struct ossl_param (*param_text)(const char *key, char *text, size_t octets);
	struct ossl_param (*param_end)(void);
	int (*compare)(const void *one, const void *other, size_t octets);
	void (*cleanse)(void *data, size_t octets);
};

/* NULL when this process has no OpenSSL 3 to offer. */
const struct openssl *openssl_functions(void);

#endif
