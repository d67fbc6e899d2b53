/*
 * What one IKE handshake computes, without the objects that node:crypto makes for every call. libs/ike has all of it over
 * node:crypto; what it decides and how it refuses stays there. Handles are of the thread that made them. Keys pass through memory that
 * the caller brings and wipes; none stays in a handle.
 */
#ifndef SALLYPORT_IKE_CRYPTO_H
#define SALLYPORT_IKE_CRYPTO_H

#include <node_api.h>

/* prfCreate(digest): the HMAC of that hash (RFC 2104) as a PRF, or undefined when OpenSSL lacks it */
napi_value prf_create(napi_env env, napi_callback_info info);
/* prfCompute(prf, room, keyOctets, dataOctets): `room` is key ‖ data; its start becomes the output */
napi_value prf_compute(napi_env env, napi_callback_info info);
/*
 * prfExpand(prf, room, keyOctets, seedOctets, rounds): prf+ of RFC 7296 §2.13; `room` is key ‖ seed ‖ space for `rounds` outputs, and 1
 * to 255 are made
 */
napi_value prf_expand(napi_env env, napi_callback_info info);

/* exchangeCreate(type, group, publicOctets, secretOctets): ephemeral key exchange, or undefined when OpenSSL lacks it */
napi_value exchange_create(napi_env env, napi_callback_info info);
/*
 * exchangeRespond(exchange, room): `room` is the peer's public value ‖ space for ours ‖ space for the shared secret, as OpenSSL encodes
 * them. 1, or 0 when the peer's is no element of the group or gives a secret of zeros.
 */
napi_value exchange_respond(napi_env env, napi_callback_info info);

/* aeadCreate(cipher, keyOctets, nonceOctets, ivOctets, icvOctets), or undefined when OpenSSL lacks it */
napi_value aead_create(napi_env env, napi_callback_info info);
/*
 * aeadSeal(aead, key, message, bodyOffset): `key` is cipher key ‖ salt; encrypts what stands between the IV at `bodyOffset` and the ICV at
 * the end of `message` in place, and makes the ICV over all before the IV too
 */
napi_value aead_seal(napi_env env, napi_callback_info info);
/* aeadOpen(aead, key, message, bodyOffset, plaintext): 1, or 0 when the ICV is wrong and `plaintext` is zeros */
napi_value aead_open(napi_env env, napi_callback_info info);

#endif
