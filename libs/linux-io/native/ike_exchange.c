/* Key exchange of IKE with OpenSSL's curves, for an end whose key pair is over with one exchange. */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "ike_crypto.h"
#include "openssl_abi.h"

#define MAX_VALUE 133
#define NAME_ROOM 32

struct exchange {
	const struct openssl *openssl;
	/* Makes key pairs. */
	EVP_PKEY_CTX *generator;
	/* A key of the group whose public value becomes each peer's. */
	EVP_PKEY *peer;
	size_t public_octets, secret_octets;
};

static void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->generator)
		exchange->openssl->key_context_free(exchange->generator);
	if (exchange->peer)
		exchange->openssl->key_free(exchange->peer);
	free(exchange);
}

static void exchange_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	exchange_free(data);
}

static bool take_group(struct exchange *exchange, const char *type, char *group)
{
	const struct openssl *openssl = exchange->openssl;

	exchange->generator = openssl->key_context_from_name(NULL, type, NULL);
	if (!exchange->generator || openssl->keygen_init(exchange->generator) != 1)
		return false;
	if (group[0]) {
		struct ossl_param parameters[] = { openssl->param_text("group", group, 0), openssl->param_end() };

		if (openssl->key_set_parameters(exchange->generator, parameters) != 1)
			return false;
	}
	return openssl->key_generate(exchange->generator, &exchange->peer) == 1;
}

napi_value exchange_create(napi_env env, napi_callback_info info)
{
	const struct openssl *openssl = openssl_functions();
	struct arguments arguments;
	char type[NAME_ROOM], group[NAME_ROOM];
	napi_value result = NULL;
	struct exchange *exchange;
	size_t public_octets, secret_octets;
	bool taken;

	if (!arguments_read(env, info, 4, &arguments) || !argument_text(&arguments, 0, type, sizeof type) ||
	    !argument_text(&arguments, 1, group, sizeof group) || !argument_size(&arguments, 2, MAX_VALUE, &public_octets) ||
	    !argument_size(&arguments, 3, MAX_VALUE, &secret_octets) || !openssl)
		return NULL;
	exchange = calloc(1, sizeof *exchange);
	if (!exchange)
		return NULL;
	exchange->openssl = openssl;
	exchange->public_octets = public_octets;
	exchange->secret_octets = secret_octets;
	openssl->error_mark();
	taken = take_group(exchange, type, group);
	openssl->error_pop_to_mark();
	if (!taken || napi_create_external(env, exchange, exchange_finalize, NULL, &result) != napi_ok) {
		exchange_free(exchange);
		return NULL;
	}
	return result;
}

/*
 * Setting a point refuses what is not on the curve, and an encoding of this size is never the point at infinity: all that RFC 6989 §2.3
 * asks of groups of prime order. OpenSSL's own validation would multiply by the order besides. X25519 and X448 refuse a secret of zeros.
 */
static bool agree(const struct exchange *exchange, EVP_PKEY *own, uint8_t *secret)
{
	const struct openssl *openssl = exchange->openssl;
	EVP_PKEY_CTX *context = openssl->key_context_from_key(NULL, own, NULL);
	size_t octets = exchange->secret_octets;
	bool agreed;

	if (!context)
		return false;
	agreed = openssl->derive_init(context) == 1 && openssl->derive_set_peer(context, exchange->peer, 0) == 1 &&
		 openssl->derive(context, secret, &octets) == 1 && octets == exchange->secret_octets;
	openssl->key_context_free(context);
	return agreed;
}

napi_value exchange_respond(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct exchange *exchange;
	struct bytes room;

	if (!arguments_read(env, info, 2, &arguments) || !argument_bytes(&arguments, 1, &room))
		return NULL;
	if (napi_get_value_external(env, arguments.values[0], (void **)&exchange) != napi_ok || !exchange ||
	    room.length != 2 * exchange->public_octets + exchange->secret_octets) {
		refuse(env, "an exchange and its values are expected");
		return NULL;
	}

	const struct openssl *openssl = exchange->openssl;
	uint8_t *own_value = room.data + exchange->public_octets, *secret = own_value + exchange->public_octets;
	EVP_PKEY *own = NULL;
	size_t made = 0;
	bool agreed;

	openssl->error_mark();
	agreed = openssl->key_set_public(exchange->peer, room.data, exchange->public_octets) == 1 &&
		 openssl->key_generate(exchange->generator, &own) == 1 &&
		 openssl->key_get_octets(own, "encoded-pub-key", own_value, exchange->public_octets, &made) == 1 &&
		 made == exchange->public_octets && agree(exchange, own, secret);
	openssl->error_pop_to_mark();
	if (own)
		openssl->key_free(own);
	if (!agreed)
		openssl->cleanse(secret, exchange->secret_octets);
	return number(env, agreed);
}
