/*
 * ESP (RFC 4303) on batches, in place: what libs/esp does a packet at a time, for the algorithms that OpenSSL has. Sequence
 * numbers, the replay window and every decision stay with the caller.
 */
#ifndef SALLYPORT_ESP_H
#define SALLYPORT_ESP_H

#include <node_api.h>

/* Words of the record `user` after opening: a next header, or one of these. */
enum esp_refusal { ESP_MALFORMED = 0x101, ESP_INTEGRITY = 0x102, ESP_PADDING = 0x103 };

/* Words of the parameters of espCreate. */
enum esp_parameter {
	ESP_SPI,
	ESP_ESN,
	ESP_SEALS,
	ESP_KEY_OCTETS,
	ESP_SALT_OCTETS,
	ESP_IV_OCTETS,
	ESP_ICV_OCTETS,
	ESP_ALIGNMENT,
	/* The encryption makes the ICV. */
	ESP_AEAD,
	ESP_PARAMETERS,
};

/*
 * espCreate(cipher, digest, keys, parameters): an opaque SA, or undefined when OpenSSL lacks an algorithm. `cipher` is
 * OpenSSL's name, or empty for none; `digest` is the hash of an HMAC, or empty; `keys` is cipher key ‖ salt ‖ MAC key.
 */
napi_value esp_create(napi_env env, napi_callback_info info);
/* espSeal(sa, slab, meta, first, count, high, low): packets sealed */
napi_value esp_seal(napi_env env, napi_callback_info info);
/* espOpen(sa, slab, meta, first, count): packets looked at; each record's `user` holds the upper half before, the outcome after */
napi_value esp_open(napi_env env, napi_callback_info info);

#endif
